"""``manage.py sb_reindex``: build the Redis indexes anew from the stored objects, while the site goes on."""

from __future__ import annotations

import json
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from ..canvases import canvas_on
from ..census import Census
from ..colors import heed_no_color
from ..ending import ended_by_sigterm
from ..helping import TeachingCommand, add_table_arguments
from ..plurals import part_that
from ..progress import Expected, ReindexDisplay, unknown
from ..reindex import Outcome, Reindexer, Result, Survey, Task, survey
from ..tables import Models, chosen_databases, chosen_models
from ..tenant import within_tenant
from ..view import NoCanvas
from ..wording import refusal_as_json, sentence, table_as_json

INTERRUPTED: Final = 130  # the exit status of a program that Ctrl-C ended

DESCRIPTION = """\
Build the Redis indexes of smarterbase databases anew from the stored objects.

An index tells which documents a query needs. When it is not known to be
complete, queries read every document of the table instead: right, but slow.
Profiles, the log and explain() then say "fallback". A rebuild ends that.

when to run it:
  - Redis was emptied, restarted, lost or replaced
  - documents were written while Redis was down
  - an index was added to a model or changed, and no old code runs any more
  - a table had documents before it had an index, as in an existing bucket

With the option auto_reindex (on by default), a process that sees an untrusted
index does the same in the background. This command does it now, and says what
came of it. Whether it is needed, --dry-run and sb_check tell.

Queries and writes go on meanwhile, and an index that is trusted stays in use
until the new one is complete. It takes at least as long as the option
write_deadline (15 s by default), until writers that do not know of it yet have
ended; up to 16 tables are rebuilt at a time. Documents that Redis remembers and
that have not changed since are not read again. It may be interrupted: tables
that are ready stay so, the others keep the index that they had.

With --pack each table's documents are then written into packs too: compressed
objects of many documents each. A scan lists the table, takes what has not
changed from them, and reads the rest, so that on S3 100,000 documents cost a
hundred listings and about ten reads in place of 100,000 reads. Nothing is ever
out of date: the listing tells what has changed. Tables without an index (option
cache None) are packed as well. The option pack does it by itself."""

EPILOG = """\
examples:
  manage.py sb_reindex                      all tables of all databases
  manage.py sb_reindex articles auth.User   of an app, and of a model (with its
                                            many-to-many tables)
  manage.py sb_reindex --dry-run            what is not trusted, and why?
  manage.py sb_reindex --full articles      whatever Redis remembers
  manage.py sb_reindex --pack articles      and make their scans cheap
  manage.py sb_reindex --json >report.json  for programs

exit status:
  0    every index that was asked for is trusted now, and with --pack every
       table packed; after --dry-run: was seen
  1    a table was not rebuilt or packed, or a database left out; the others
       are done
  130  ended by Ctrl-C or SIGTERM

On a terminal bars show rate and time left; elsewhere a line says so every 30
seconds, or with -v 2 every 10 and at each step. NO_COLOR in the environment is
heeded. -v 0 shows errors only."""


class Command(TeachingCommand):
    """Rebuilds indexes."""

    help = DESCRIPTION
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        """What to rebuild, and what to say of it."""
        add_table_arguments(parser)
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="say what would be done and why, and how current the packs are; write nothing",
        )
        parser.add_argument(
            "--full", action="store_true", help="read every document, those too that Redis knows by their ETag"
        )
        parser.add_argument(
            "--pack", action="store_true", help="then write the documents into packs, so that scans need few requests"
        )
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object instead of text; all else on the standard error"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Look at the indexes, rebuild them, and say what came of it. Raises CommandError."""
        heed_no_color(self)
        aliases = chosen_databases(options["database"])
        models = chosen_models(options["labels"])
        with within_tenant(options["tenant"], aliases), ended_by_sigterm():
            self._handle(aliases, models, options)

    def _handle(self, aliases: list[str], models: Models | None, options: dict[str, Any]) -> None:
        try:
            found = survey(aliases, models, pack=options["pack"], inspect_packs=options["dry_run"])
        except KeyboardInterrupt as interrupt:
            raise CommandError("Interrupted. Nothing has been done yet.", returncode=INTERRUPTED) from interrupt
        if not found.tasks and not found.refusals:
            raise CommandError(
                "No table to rebuild: the database router keeps the models "
                f"{', '.join(options['labels']) or 'of this project'} in other databases. See DATABASE_ROUTERS."
            )
        names = ("dry_run", "full", "json", "verbosity", "no_color")
        _Run(self, found, **{name: options[name] for name in names}).run()


class _Run:
    """One run of the command: ``results`` grow while it lasts."""

    def __init__(
        self,
        command: Command,
        found: Survey,
        *,
        dry_run: bool,
        full: bool,
        json: bool,
        verbosity: int,
        no_color: bool,
    ) -> None:
        self.command = command
        self.found = found
        self.dry_run = dry_run
        self.full = full
        self.json = json
        self.verbosity = verbosity
        self.results: list[Result] = []
        stream: Any = command.stderr
        self.canvas = canvas_on(stream._out, verbosity=verbosity, no_color=no_color, quiet=json)

    def run(self) -> None:
        """Do it. Raises CommandError with the exit status."""
        for refusal in self.found.refusals:
            self._complain(refusal.error)
        interrupted = False
        try:
            self._plan() if self.dry_run else self._rebuild()
        except KeyboardInterrupt:
            interrupted = True
        self.canvas.clear()
        if self.json:
            self.command.stdout.write(json.dumps(self._as_json(interrupted=interrupted), indent=2))
        self._conclude(interrupted=interrupted)

    def _plan(self) -> None:
        for task in self.found.tasks:
            left = Outcome.PLANNED_LEFT if task.is_fine and not self.full else Outcome.PLANNED
            self._tell(Result(task, left if task.has_index else Outcome.PLANNED_PACKED))

    def _rebuild(self) -> None:
        reindexer = Reindexer(self.found.tasks, full=self.full, stopping=self._say_stopping)
        with Census() as census:
            counts: Expected = unknown if isinstance(self.canvas, NoCanvas) else census.documents
            display = ReindexDisplay(self.canvas, counts)
            reindexer.run(self._tell, lambda: display.show(reindexer.works))

    def _say_stopping(self) -> None:
        self.canvas.clear()
        if self.verbosity > 0:
            self._complain("Interrupted; the rebuilds under way are being ended.")

    def _tell(self, result: Result) -> None:
        self.results.append(result)
        self.canvas.clear()
        line = f"{self._name(result.task)}: {sentence(result)}"
        if result.has_failed:
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
            raise CommandError(self._interrupted(), returncode=INTERRUPTED)
        failed = sum(result.outcome is Outcome.FAILED for result in self.results)
        unpacked = sum(bool(result.packing_error) for result in self.results)
        problems = [f"{self._part(failed)} not rebuilt"] if failed else []
        problems += [f"{self._part(unpacked)} not packed"] if unpacked else []
        problems += [f"the database {refusal.database!r} was left out" for refusal in self.found.refusals]
        if problems:
            raise CommandError(f"{'; '.join(problems)}. The reasons stand above.")

    def _part(self, number: int) -> str:
        return part_that(number, len(self.results), "table", "was", "were")

    def _interrupted(self) -> str:
        ready = sum(
            result.outcome in (Outcome.REBUILT, Outcome.LEFT, Outcome.PACKED) and not result.has_failed
            for result in self.results
        )
        tables = part_that(ready, len(self.found.tasks), "table", "is", "are")
        return (
            f"Interrupted: {tables} ready. No index was harmed: each that was not finished is as it was before. Run "
            "sb_reindex again when you like."
        )

    def _as_json(self, *, interrupted: bool) -> dict[str, Any]:
        return {
            "dry_run": self.dry_run,
            "interrupted": interrupted,
            "tables": [table_as_json(result) for result in self.results],
            "refused": [refusal_as_json(refusal) for refusal in self.found.refusals],
        }
