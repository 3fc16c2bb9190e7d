"""``manage.py sb_upcast``: write documents of older versions back in the newest shape, while the site goes on."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from ..canvases import canvas_on
from ..census import Census
from ..colors import heed_no_color
from ..ending import Ending, asked_to_end
from ..helping import TeachingCommand, add_table_arguments
from ..plurals import counted, part_that
from ..progress import Expected, unknown
from ..tables import chosen_databases, chosen_models
from ..tenant import within_tenant
from ..upcast import Outcome, Result, Task, sentence, tasks_of, upcast
from ..upcast_progress import UpcastDisplay
from ..view import NoCanvas

INTERRUPTED: Final = 130  # the exit status of a program that Ctrl-C ended
BATCH: Final = 200

DESCRIPTION = """\
Write documents of older versions back in the newest shape.

A migration rewrites no document: it notes a step, and documents from before it
are read through the steps. Each is brought up to date when it is next saved.
Those that nobody saves stay as they are, which is no harm. This command saves
them.

when to run it:
  - programs that read the bucket themselves are to find one shape
  - attributes of removed fields are to be gone (personal data, say)
  - a table has been through many migrations, and is scanned often

When not: before the last process with old code has ended. It would still read
the documents, but not the attributes of fields that are removed.

Queries and writes go on meanwhile. A document is written only if nobody has
changed it since it was read; the newer write stays. Indexes stay trusted and
unique values claimed; signals and save() are not called. Every document of a
table that migrations have changed is read once, in a stream, and no more than a
batch is held in memory. It may be interrupted and run again: what is up to date
is read and not written."""

EPILOG = """\
examples:
  manage.py sb_upcast --dry-run             how many documents are of older
                                            versions?
  manage.py sb_upcast                       all tables of all databases
  manage.py sb_upcast articles auth.User    of an app, and of a model (with its
                                            many-to-many tables)
  manage.py sb_upcast --batch 20            in small portions, beside traffic
  manage.py sb_upcast --json >report.json   for programs

exit status:
  0    every document that was asked for is of the newest version
       (after --dry-run: all were looked at)
  1    a document or table could not be brought up to date; the others are
  130  ended by Ctrl-C or SIGTERM, after the batch under way

On a terminal a bar shows rate and time left; elsewhere a line says so every 30
seconds, or with -v 2 every 10. NO_COLOR in the environment is heeded. -v 0
shows errors only."""


class Command(TeachingCommand):
    """Writes documents back."""

    help = DESCRIPTION
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        """What to write back, and what to say of it."""
        add_table_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="say how many are of older versions; write nothing")
        parser.add_argument(
            "--batch", type=_size, default=BATCH, metavar="N", help=f"documents at a time (default: {BATCH})"
        )
        parser.add_argument(
            "--json", action="store_true", help="print one JSON object instead of text; all else on the standard error"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the documents back, table by table, and say what came of it. Raises CommandError."""
        heed_no_color(self)
        aliases = chosen_databases(options["database"])
        with within_tenant(options["tenant"], aliases):
            tasks = list(tasks_of(aliases, chosen_models(options["labels"])))
            if not tasks:
                raise CommandError(
                    "No table to look at: the database router keeps the models "
                    f"{', '.join(options['labels']) or 'of this project'} in other databases. See DATABASE_ROUTERS."
                )
            with asked_to_end() as ending:
                _Run(self, tasks, ending, options).run()


def _size(text: str) -> int:
    try:
        size = int(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no whole number") from error
    if size < 1:
        raise ArgumentTypeError(f"{size} documents at a time are none; 1 is the least")
    return size


class _Run:
    """One run of the command: ``results`` grow while it lasts."""

    def __init__(self, command: Command, tasks: list[Task], ending: Ending, options: dict[str, Any]) -> None:
        self.command = command
        self.tasks = tasks
        self.ending = ending
        self.dry_run: bool = options["dry_run"]
        self.json: bool = options["json"]
        self.batch: int = options["batch"]
        self.verbosity: int = options["verbosity"]
        self.results: list[Result] = []
        stream: Any = command.stderr
        self.canvas = canvas_on(stream._out, verbosity=self.verbosity, no_color=options["no_color"], quiet=self.json)

    def run(self) -> None:
        """Do it. Raises CommandError with the exit status."""
        with Census() as census:
            counts: Expected = unknown if isinstance(self.canvas, NoCanvas) else census.documents
            display = UpcastDisplay(self.canvas, len(self.tasks), counts)
            for task in self.tasks:
                self._upcast(task, display)
                if self.results[-1].outcome is Outcome.INTERRUPTED:
                    break
        if self.json:
            self.command.stdout.write(json.dumps(self._as_json(), indent=2))
        self._conclude()

    def _upcast(self, task: Task, display: UpcastDisplay) -> None:
        name = self._name(task)
        result = upcast(
            task,
            batch=self.batch,
            dry_run=self.dry_run,
            watch=lambda progress: display.show(task, name, progress),
            ending=lambda: self.ending.asked,
        )
        self.results.append(result)
        display.ended(result.progress)
        self.canvas.clear()
        line = f"{name}: {sentence(result)}"
        if result.outcome is Outcome.FAILED:
            self.command.stderr.write(line)
        elif self.verbosity > 0 and not self.json and self._is_news(result):
            self.command.stdout.write(line)

    def _is_news(self, result: Result) -> bool:
        """Most tables have one version and are nobody's concern."""
        return result.version != 1 or self.verbosity > 1

    def _name(self, task: Task) -> str:
        several = len({task.database for task in self.tasks}) > 1
        return f"{task.schema.label} ({task.database})" if several else task.schema.label

    @property
    def _interrupted(self) -> bool:
        return any(result.outcome is Outcome.INTERRUPTED for result in self.results)

    def _conclude(self) -> None:
        written = sum(result.progress.written for result in self.results)
        if self._interrupted:
            done = "document is written back, and stays so", "documents are written back, and stay so"
            raise CommandError(
                f"Interrupted: {counted(written, *done)}. Run sb_upcast again when you like; it goes on with the "
                "others.",
                returncode=INTERRUPTED,
            )
        failed = sum(result.outcome is Outcome.FAILED for result in self.results)
        if failed:
            tables = part_that(failed, len(self.results), "table", "is", "are")
            raise CommandError(f"{tables} not up to date. The reasons stand above.")
        outdated = sum(result.progress.outdated for result in self.results)
        if not self.json and self.verbosity > 0 and not outdated:
            self.command.stdout.write("Every document is of the newest version.")

    def _as_json(self) -> dict[str, Any]:
        return {
            "dry_run": self.dry_run,
            "interrupted": self._interrupted,
            "tables": [result.as_json() for result in self.results],
        }
