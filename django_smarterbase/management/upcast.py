"""The work of ``sb_upcast``: which tables have documents to be written back, and what became of each."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from django.db import DatabaseError

from ..backend.upcasting import Progress, Upcaster
from ..exceptions import SmarterBaseError
from ..tables import TableSchema
from .plurals import counted, inflected
from .tables import Models, connection_of, tables_of


class Outcome(enum.StrEnum):
    """What became of a table. The values stand in the output of ``--json``."""

    WRITTEN = "written back"
    CURRENT = "up to date"
    PLANNED = "would be written back"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Task:
    """One table of one database."""

    database: str
    schema: TableSchema


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a table. ``version`` is the newest, None when it could not be told; ``error`` ended it early."""

    task: Task
    outcome: Outcome
    progress: Progress
    version: int | None = None
    seconds: float = 0.0
    error: str = ""

    def as_json(self) -> dict[str, Any]:
        """The result, of JSON types."""
        return {
            "database": self.task.database,
            "model": self.task.schema.label,
            "table": self.task.schema.table,
            "version": self.version,
            "outcome": self.outcome,
            **asdict(self.progress),
            "seconds": round(self.seconds, 3),
            "error": self.error or None,
        }


def tasks_of(databases: list[str], chosen: Models | None) -> Iterator[Task]:
    """The tables, database by database."""
    for alias in databases:
        for schema in tables_of(alias, chosen):
            yield Task(alias, schema)


def upcast(
    task: Task, *, batch: int, dry_run: bool, watch: Callable[[Progress], object], ending: Callable[[], bool]
) -> Result:
    """Write the documents of one table back. ``watch`` is told after each document; ``ending`` says whether to end."""
    began, progress, version = time.monotonic(), Progress(), None

    def go_on() -> bool:
        watch(progress)
        return not ending()

    def result(outcome: Outcome, error: str = "") -> Result:
        return Result(task, outcome, progress, version, time.monotonic() - began, error)

    if ending():
        return result(Outcome.INTERRUPTED)
    try:
        upcaster = Upcaster(connection_of(task.database), task.schema)
        progress, version = upcaster.progress, upcaster.version
        complete = upcaster.run(batch=batch, dry_run=dry_run, go_on=go_on)
    except KeyboardInterrupt:
        return result(Outcome.INTERRUPTED)
    except (SmarterBaseError, DatabaseError, OSError) as error:
        return result(Outcome.FAILED, str(error))
    if not complete:
        return result(Outcome.INTERRUPTED)
    return result(_outcome(progress, dry_run=dry_run))


def _outcome(progress: Progress, *, dry_run: bool) -> Outcome:
    if progress.failed:
        return Outcome.FAILED
    if not progress.outdated:
        return Outcome.CURRENT
    return Outcome.PLANNED if dry_run else Outcome.WRITTEN


def sentence(result: Result) -> str:
    """What became of a table, without its name."""
    progress = result.progress
    many = f"{progress.outdated:,} of {counted(progress.documents, 'document')}"
    match result.outcome:
        case Outcome.CURRENT if result.version == 1:
            return "no migration has changed its documents; nothing to do."
        case Outcome.CURRENT:
            return f"{counted(progress.documents, 'document')}, all of version {result.version}; nothing to do."
        case Outcome.PLANNED:
            verb = inflected(progress.outdated, "is", "are")
            return f"{many} {verb} of older versions than {result.version} and would be written back."
        case Outcome.INTERRUPTED:
            return f"interrupted after {counted(progress.documents, 'document')}; {progress.written:,} written back."
        case Outcome.FAILED:
            return f"failed. {_done(result)}{' '.join(filter(None, [result.error, *progress.errors]))}"
        case _:
            return f"{many} {_done(result)}".rstrip()


def _done(result: Result) -> str:
    progress = result.progress
    if not progress.documents:
        return ""
    parts = [f"written back in version {result.version}" if progress.written == progress.outdated else ""]
    if not parts[0]:
        parts = [f"of older versions: {progress.written:,} written back in version {result.version}"]
    if progress.overtaken:
        parts.append(f"{progress.overtaken:,} written or deleted by others first")
    if progress.failed:
        parts.append(f"{progress.failed:,} that cannot be")
    return f"{', '.join(parts)} ({result.seconds:.1f} s). "
