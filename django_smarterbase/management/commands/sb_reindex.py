"""``manage.py sb_reindex``: build the Redis indexes anew from the stored objects, while the site goes on."""

from __future__ import annotations

import json
from argparse import RawDescriptionHelpFormatter
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ..progress import Bar, Display, Lines, NoDisplay
from ..reindex import Outcome, Reindexer, Result, Survey, Task, survey
from ..tables import chosen_databases, chosen_models
from ..wording import refusal_as_json, sentence, table_as_json

INTERRUPTED: Final = 130  # the exit status of a program that Ctrl-C ended

DESCRIPTION = """\
Build the Redis indexes of smarterbase databases anew from the stored objects.

Queries and writes go on meanwhile: an index that is trusted stays in use until the new one is complete, and without one
queries scan. Needed after Redis was lost, emptied or restarted, after writes were made without it, and after the
indexes of a model were changed; profiles and the log then say "fallback".

A rebuild takes at least as long as the option write_deadline, so that writers that do not know of it yet have ended;
up to 16 tables are rebuilt at a time. Documents that the last index knew and that have not changed since are not read
again. It may be interrupted at any time and run again."""

EPILOG = """\
examples:
  manage.py sb_reindex                      every table of every smarterbase database
  manage.py sb_reindex articles auth.User   the tables of an app, and of a model (with its many-to-many tables)
  manage.py sb_reindex --dry-run            why is an index not trusted, and what would be done?
  manage.py sb_reindex --full articles      read every document, whatever Redis remembers
  manage.py sb_reindex --json >report.json  one JSON object on the standard output, errors on the other

exit status: 0 when every index is trusted now, 1 when one could not be rebuilt (the others have been), 130 after
Ctrl-C."""


class Command(BaseCommand):
    """Rebuilds indexes."""

    help = DESCRIPTION
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """A parser that leaves the line breaks of the description and of the examples alone."""
        parser = super().create_parser(prog_name, subcommand, epilog=EPILOG, **kwargs)
        parser.formatter_class = RawDescriptionHelpFormatter
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        """What to rebuild, and what to say of it."""
        parser.add_argument(
            "labels", nargs="*", metavar="app_label[.Model]", help="only the tables of these apps and models"
        )
        parser.add_argument(
            "--database", action="append", default=[], metavar="ALIAS", help="only this database; may be repeated"
        )
        parser.add_argument("--dry-run", action="store_true", help="say what would be done and why; write nothing")
        parser.add_argument("--full", action="store_true", help="read every document, unchanged ones too")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        """Look at the indexes, rebuild them, and say what came of it. Raises CommandError."""
        names = options["database"]
        aliases = chosen_databases([names] if isinstance(names, str) else names)  # call_command() may pass one name
        models = chosen_models(options["labels"])
        try:
            found = survey(aliases, models)
        except KeyboardInterrupt as interrupt:
            raise CommandError("Interrupted. Nothing has been done yet.", returncode=INTERRUPTED) from interrupt
        if not found.tasks and not found.refusals:
            raise CommandError(
                "No table to rebuild: the database router keeps the models "
                f"{', '.join(options['labels']) or 'of this project'} in other databases. See DATABASE_ROUTERS."
            )
        run = _Run(self, found, **{name: options[name] for name in ("dry_run", "full", "json", "verbosity")})
        run.run()


class _Run:
    """One run of the command: ``results`` grow while it lasts."""

    def __init__(
        self, command: Command, found: Survey, *, dry_run: bool, full: bool, json: bool, verbosity: int
    ) -> None:
        self.command = command
        self.found = found
        self.dry_run = dry_run
        self.full = full
        self.json = json
        self.verbosity = verbosity
        self.results: list[Result] = []
        self.display = NoDisplay() if dry_run else self._display()

    def run(self) -> None:
        """Do it. Raises CommandError with the exit status."""
        for refusal in self.found.refusals:
            self._complain(refusal.error)
        interrupted = False
        try:
            self._plan() if self.dry_run else self._rebuild()
        except KeyboardInterrupt:
            interrupted = True
        self.display.clear()
        if self.json:
            self.command.stdout.write(json.dumps(self._as_json(interrupted=interrupted), indent=2))
        self._conclude(interrupted=interrupted)

    def _plan(self) -> None:
        for task in self.found.tasks:
            left = task.is_fine and not self.full
            self._tell(Result(task, Outcome.PLANNED_LEFT if left else Outcome.PLANNED))

    def _rebuild(self) -> None:
        reindexer = Reindexer(self.found.tasks, full=self.full)
        reindexer.run(self._tell, lambda: self.display.show(reindexer.works))

    def _display(self) -> Display:
        stream: Any = self.command.stderr
        if self.verbosity < 1:
            return NoDisplay()
        if stream.isatty():
            return Bar(stream._out)
        return Lines(stream._out) if self.verbosity > 1 else NoDisplay()

    def _tell(self, result: Result) -> None:
        self.results.append(result)
        self.display.clear()
        line = f"{self._name(result.task)}: {sentence(result)}"
        if result.outcome is Outcome.FAILED:
            self._complain(line)
        elif self.verbosity > 0 and not self.json:
            self.command.stdout.write(line)

    def _name(self, task: Task) -> str:
        databases = {task.database for task in self.found.tasks} | {each.database for each in self.found.refusals}
        return f"{task.schema.label} ({task.database})" if len(databases) > 1 else task.schema.label

    def _complain(self, text: str) -> None:
        self.command.stderr.write(text)

    def _conclude(self, *, interrupted: bool) -> None:
        if interrupted:
            raise CommandError(
                "Interrupted. No index was harmed: each that was not finished is as it was before. Run sb_reindex "
                "again when you like.",
                returncode=INTERRUPTED,
            )
        failed = sum(result.outcome is Outcome.FAILED for result in self.results)
        problems = [f"{failed} of {len(self.results)} tables were not rebuilt"] if failed else []
        problems += [f"the database {refusal.database!r} was left out" for refusal in self.found.refusals]
        if problems:
            raise CommandError(f"{'; '.join(problems)}. The reasons stand above.")

    def _as_json(self, *, interrupted: bool) -> dict[str, Any]:
        return {
            "dry_run": self.dry_run,
            "interrupted": interrupted,
            "tables": [table_as_json(result) for result in self.results],
            "refused": [refusal_as_json(refusal) for refusal in self.found.refusals],
        }
