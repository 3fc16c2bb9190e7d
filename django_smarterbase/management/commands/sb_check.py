"""``manage.py sb_check``: compare indexes, claims and transactions with the stored objects, and mend them."""

from __future__ import annotations

import json
import shutil
import time
from argparse import ArgumentTypeError
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from ..canvases import canvas_on
from ..census import Census
from ..check import Checker, Round, Scope
from ..check_progress import CheckDisplay
from ..check_wording import lines_of, round_as_json
from ..colors import heed_no_color
from ..ending import ended_by_sigterm
from ..helping import TeachingCommand, add_table_arguments
from ..plurals import part_that
from ..progress import Expected, ReindexDisplay, unknown
from ..tables import chosen_databases, chosen_models
from ..tenant import within_tenant
from ..view import NoCanvas

INTERRUPTED: Final = 130  # the exit status of a program that Ctrl-C ended
THRESHOLD: Final = 5.0  # per cent

DESCRIPTION = """\
Compare the Redis indexes of smarterbase databases with the stored objects, both
ways: every document must stand in the sets that its values name, and what
stands in a set must be justified by a document. Without --repair and --watch
nothing is changed.

Also found: documents that cannot be read, notes that dead writers have left,
claims to unique values that no document holds, and transactions whose process
has died. Of packs it tells how many of their documents have changed since, and
which cannot be used. No answer depends on packs, so that is never a failure;
sb_reindex --pack makes new ones.

when to run it:
  - to see whether sb_reindex is needed, or what it has done
  - after objects were changed by hand, or a bucket or Redis was restored
  - when a document seems not to be found, or a unique value taken by nobody
  - every night as a job, or all the time as a service (--watch)

Readers and writers go on. What a writer is at is looked at again and is not
counted as drift. What may be the trace of a dead process is judged after the
option write_deadline (15 s by default). Every document is read once, or as many
as --sample says. Memory does not grow with the tables."""

EPILOG = """\
examples:
  manage.py sb_check                        all tables of all databases
  manage.py sb_check --sample 500 articles  500 documents, records and sets of
                                            each table of an app
  manage.py sb_check --repair               mend whatever is found
  manage.py sb_check --watch 300            check every five minutes, mend
                                            indexes with over 5 % drift
  manage.py sb_check --json                 for programs: one object a round,
                                            each on a line of its own

columns:
  documents         that were looked at
  missing, extra    entries that documents lack in the index, or should not have
  pending, overdue  writes under way, and those whose writer seems to be dead
  in doubt          documents that writers were at whenever they were looked at
  corrupt, orphans  unreadable documents, and claims that no document holds
  drift             how much of the worst index is wrong; 100 % when it is not
                    trusted, so that queries scan
  state             sound, repaired, damaged, not trusted, no index or error

exit status:
  0    nothing is wrong, or not any more, whatever is said of packs; of --watch:
       it was told to end
  1    something is wrong; the output says what
  130  ended by Ctrl-C or SIGTERM, without --watch

On a terminal a bar shows rate and time left; elsewhere a line says so every 30
seconds, or with -v 2 every 10 and at each step. NO_COLOR in the environment is
heeded. -v 0 shows errors only, -v 2 also sound indexes."""


class Command(TeachingCommand):
    """Checks and mends indexes."""

    help = DESCRIPTION
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        """What to check, what to do about it, and what to say of it."""
        add_table_arguments(parser)
        parser.add_argument(
            "--sample",
            type=_count,
            metavar="N",
            help="look at N documents of each table, chosen at random (default: all)",
        )
        parser.add_argument(
            "--repair",
            action="store_true",
            help="mend what can be: indexes, orphan claims, transactions of dead processes",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object a round instead of text")
        parser.add_argument(
            "--watch", type=_seconds, metavar="SECONDS", help="check again and again, with so long a pause"
        )
        parser.add_argument(
            "--threshold",
            type=_percent,
            default=THRESHOLD,
            metavar="PERCENT",
            help="with --watch: mend an index whose drift is above this (default: 5)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Check once, or until it is told to end. Raises CommandError."""
        heed_no_color(self)
        aliases = chosen_databases(options["database"])
        with within_tenant(options["tenant"], aliases):
            self._handle(aliases, options)

    def _handle(self, aliases: list[str], options: dict[str, Any]) -> None:
        scope = Scope(
            databases=tuple(aliases),
            chosen=chosen_models(options["labels"]),
            sample=options["sample"],
            repair=options["repair"],
            threshold=options["threshold"] if options["watch"] is not None else None,
        )
        wishes = {name: options[name] for name in ("json", "verbosity", "no_color")}
        with Census() as census:
            run = _Run(self, scope, census, **wishes)
            if options["watch"] is None:
                run.once()
            else:
                run.watch(options["watch"])


class _Run:
    """One run of the command. ``census`` counts the documents of its tables, for the time left."""

    def __init__(
        self, command: Command, scope: Scope, census: Census, *, json: bool, verbosity: int, no_color: bool
    ) -> None:
        stream: Any = command.stderr
        canvas = canvas_on(stream._out, verbosity=verbosity, no_color=no_color, quiet=json)
        counts: Expected = unknown if isinstance(canvas, NoCanvas) else census.documents
        ticker = CheckDisplay(canvas, counts, sample=scope.sample, several=len(scope.databases) > 1)
        self._command = command
        self._canvas = canvas
        self._census = census
        self._checker = Checker(scope, ticker, ReindexDisplay(canvas, counts))
        self._json = json
        self._verbosity = verbosity

    def once(self) -> None:
        """One round. Raises CommandError when something is wrong."""
        try:
            with ended_by_sigterm():
                found = self._checker.round()
        except KeyboardInterrupt as interrupt:
            found = self._checker.so_far()
            self._tell(found)
            raise CommandError(
                f"Interrupted: {part_that(len(found.tables), found.known, 'table', 'was', 'were')} looked at. Nothing "
                "was harmed; run sb_check again when you like.",
                returncode=INTERRUPTED,
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
                    self._tell(self._checker.round(), numbered=True)
                    self._census.forget()
                    time.sleep(seconds)
            except KeyboardInterrupt:
                self._canvas.clear()
        if not self._json and self._verbosity > 0:
            self._command.stdout.write("Ended.")

    def _tell(self, found: Round, *, numbered: bool = False) -> None:
        self._canvas.clear()
        if self._json:
            self._command.stdout.write(json.dumps(round_as_json(found)))
        elif self._verbosity > 0:
            stdout: Any = self._command.stdout
            width = shutil.get_terminal_size().columns if stdout.isatty() else None
            for line in lines_of(found, details=self._verbosity > 1, numbered=numbered, width=width):
                self._command.stdout.write(line)
        self._command.stdout.flush()


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
