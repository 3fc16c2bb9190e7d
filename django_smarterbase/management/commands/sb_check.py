"""``manage.py sb_check``: compare indexes, claims and transactions with the stored objects, and mend them."""

from __future__ import annotations

import json
import time
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ..check import Checker, Round, Scope
from ..check_wording import lines_of, round_as_json
from ..ending import ended_by_sigterm
from ..progress import Bar, Display, NoDisplay
from ..tables import chosen_databases, chosen_models
from ..ticker import Ticker

INTERRUPTED: Final = 130  # the exit status of a program that Ctrl-C ended
THRESHOLD: Final = 5.0  # per cent

DESCRIPTION = """\
Compare the Redis indexes of smarterbase databases with the stored objects, both ways: every document must stand in the
sets that its values name, and whatever stands in a set must be justified by a document. Also found: documents that
cannot be read, notes that dead writers have left, claims to unique values that no document holds, and transactions
whose process has died.

Readers and writers go on. What a writer is at is looked at again and never counted as drift; what may be the trace of a
dead process is judged after the option write_deadline. Memory does not grow with the tables."""

EPILOG = """\
examples:
  manage.py sb_check                        compare every table of every smarterbase database
  manage.py sb_check --sample 500 articles  look at 500 documents, records and sets of each table of an app
  manage.py sb_check --repair               mend whatever is found
  manage.py sb_check --watch 300            check every five minutes, mend indexes with over 5 % drift
  manage.py sb_check --json                 one JSON object for each round, each on a line of its own

drift is the share of an index's entries that are wrong; 100 % when it is not trusted, so that queries scan.

exit status: 0 when nothing is wrong (or not any more), 1 otherwise, 130 after Ctrl-C. With --watch: 0 when it is ended
by Ctrl-C or SIGTERM, whatever the rounds have found."""


class Command(BaseCommand):
    """Checks and mends indexes."""

    help = DESCRIPTION
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """A parser that leaves the line breaks of the description and of the examples alone."""
        parser = super().create_parser(prog_name, subcommand, epilog=EPILOG, **kwargs)
        parser.formatter_class = RawDescriptionHelpFormatter
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        """What to check, what to do about it, and what to say of it."""
        parser.add_argument(
            "labels", nargs="*", metavar="app_label[.Model]", help="only the tables of these apps and models"
        )
        parser.add_argument(
            "--database", action="append", default=[], metavar="ALIAS", help="only this database; may be repeated"
        )
        parser.add_argument(
            "--sample", type=_count, metavar="N", help="look at N documents of each table, chosen at random"
        )
        parser.add_argument("--repair", action="store_true", help="mend whatever is found")
        parser.add_argument("--json", action="store_true", help="print one JSON object a round instead of text")
        parser.add_argument("--watch", type=_seconds, metavar="SECONDS", help="check again and again, so often")
        parser.add_argument(
            "--threshold",
            type=_percent,
            default=THRESHOLD,
            metavar="PERCENT",
            help="with --watch: mend an index whose drift is above this (default: 5)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Check once, or until it is told to end. Raises CommandError."""
        names = options["database"]
        scope = Scope(
            databases=tuple(chosen_databases([names] if isinstance(names, str) else names)),
            chosen=chosen_models(options["labels"]),
            sample=options["sample"],
            repair=options["repair"],
            threshold=options["threshold"] if options["watch"] is not None else None,
        )
        run = _Run(self, scope, json=options["json"], verbosity=options["verbosity"])
        if options["watch"] is None:
            run.once()
        else:
            run.watch(options["watch"])


class _Run:
    """One run of the command."""

    def __init__(self, command: Command, scope: Scope, *, json: bool, verbosity: int) -> None:
        stream: Any = command.stderr
        terminal = stream._out if verbosity > 0 and stream.isatty() else None
        display: Display = Bar(terminal) if terminal is not None else NoDisplay()
        self._command = command
        self._ticker = Ticker(terminal)
        self._display = display
        self._checker = Checker(scope, self._ticker, display)
        self._json = json
        self._verbosity = verbosity

    def once(self) -> None:
        """One round. Raises CommandError when something is wrong."""
        try:
            found = self._checker.round()
        except KeyboardInterrupt as interrupt:
            self._clear()
            raise CommandError(
                "Interrupted. Nothing was harmed; run sb_check again when you like.", returncode=INTERRUPTED
            ) from interrupt
        self._tell(found)
        if not found.tables and all(each.is_sound for each in found.databases):
            raise CommandError("No table to check: the database router keeps these models in other databases.")
        if not found.is_sound:
            raise CommandError("Something is wrong; it stands above.")

    def watch(self, seconds: float) -> None:
        """Rounds until SIGINT or SIGTERM. Each begins ``seconds`` after the end of the one before."""
        with ended_by_sigterm():
            try:
                while True:
                    self._tell(self._checker.round())
                    time.sleep(seconds)
            except KeyboardInterrupt:
                self._clear()
        if not self._json and self._verbosity > 0:
            self._command.stdout.write("Ended.")

    def _tell(self, found: Round) -> None:
        self._clear()
        if self._json:
            self._command.stdout.write(json.dumps(round_as_json(found)))
        elif self._verbosity > 0:
            for line in lines_of(found, details=self._verbosity > 1):
                self._command.stdout.write(line)
        self._command.stdout.flush()

    def _clear(self) -> None:
        self._ticker.clear()
        self._display.clear()


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is not a number of documents above 0")
    return int(text)


def _seconds(text: str) -> float:
    seconds = _number(text)
    if seconds <= 0:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def _percent(text: str) -> float:
    percent = _number(text)
    if not 0 <= percent <= 100:
        raise ArgumentTypeError(f"{text!r} is not between 0 and 100 per cent")
    return percent


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a number") from None
