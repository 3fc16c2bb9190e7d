"""The work of a job: ``sb_reindex``, its packing, and ``sb_check`` as on the command line, told to a job board.

Two threads of the process that was asked for it: one does the work, the other one shows every second how far it has
come. Both are daemons, so that no process waits for a job when it is to end; what a rebuild leaves behind then is what
a killed ``sb_reindex`` leaves.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from django.db import DatabaseError, connections

from ..exceptions import SmarterBaseError, StorageUnavailable
from ..indexes.service import TableFindings
from ..management.check import Checker, Round, Scope, TableCheck
from ..management.progress import NoDisplay, part_done
from ..management.reindex import Outcome, Reindexer, Result, Survey, Work, survey
from ..management.tables import models_of_tables
from ..management.ticker import Activity, Stage
from ..profiling.recorder import unrecorded
from ..tenancy import following, origin, tenant_of
from .jobs import Job, JobBoard, JobReplaced, Kind, Status, TableProgress, Verdict

logger = logging.getLogger("django_smarterbase.index")

EVERY: Final = 1.0  # seconds between two signs of life
_ALMOST: Final = 0.99
_VERDICTS: Final = {
    Outcome.REBUILT: Verdict.REBUILT,
    Outcome.LEFT: Verdict.LEFT,
    Outcome.INTERRUPTED: Verdict.INTERRUPTED,
    Outcome.FAILED: Verdict.FAILED,
}


def start(alias: str, job: Job, board: JobBoard, ended: Callable[[Job], object]) -> None:
    """Carry out a job that was begun on ``board``, in the background. ``ended`` is called with what came of it."""
    work = _WORK[job.kind](alias, job)
    name = f"smarterbase-{job.kind}"
    keeper = threading.Thread(target=following(_keep), args=(work, board, ended), name=name, daemon=True)
    keeper.start()


class _Stopped(Exception):  # not an error: it ends the work from within
    """Nobody waits for the work any more."""


class _Work:
    """A job under way. One thread works, another one looks at ``job``."""

    def __init__(self, alias: str, job: Job) -> None:
        self.alias = alias
        self.job = job
        self.stop = threading.Event()
        self.done = threading.Event()

    def run(self) -> None:
        """Do it, and say what came of it. Never raises."""
        try:
            self._do()
        except _Stopped:
            pass
        except (SmarterBaseError, DatabaseError, OSError) as error:
            self._give_up(str(error))
        except Exception as error:
            # A thread has no caller to tell, and whoever began the job waits for an end. A message that nobody knows
            # might quote values, which are for the log only.
            logger.exception(
                "A %s of database %r that was begun in the admin failed.",
                self.job.kind,
                self.alias,
                extra=_log_fields("job_failed", self),
            )
            self._give_up(f"It failed with {type(error).__name__}; the log of the server says more.")
        finally:
            connections.close_all()
            self.done.set()

    def _do(self) -> None:
        raise NotImplementedError

    def change(self, of_table: Mapping[str, Callable[[TableProgress], TableProgress]]) -> None:
        """Change the progress of tables by ``{table: what makes the new one of the old one}``."""
        tables = (of_table[each.table](each) if each.table in of_table else each for each in self.job.tables)
        self.job = replace(self.job, tables=tuple(tables))

    def _give_up(self, problem: str) -> None:
        self.job = replace(self.job, problems=(*self.job.problems, problem))

    def _go_on(self) -> None:
        if self.stop.is_set():
            raise _Stopped

    def _tables(self) -> list[str]:
        return [each.table for each in self.job.tables]


class _ReindexWork(_Work):
    def _survey(self) -> Survey:
        return survey([self.alias], models_of_tables(self._tables()))

    def _do(self) -> None:
        found = self._survey()
        self.job = replace(self.job, problems=tuple(each.error for each in found.refusals))
        reindexer = Reindexer(found.tasks, full=self.job.thorough)
        results: list[Result] = []

        def show() -> None:
            self._show(reindexer.works, results)
            self._go_on()

        reindexer.run(results.append, show)
        self._show(reindexer.works, results)

    def _show(self, works: list[Work], results: list[Result]) -> None:
        now = time.monotonic()
        of_table: dict[str, Callable[[TableProgress], TableProgress]] = {
            work.task.schema.table: partial(_with_work, work=work, now=now) for work in works
        }
        of_table |= {result.task.schema.table: partial(_with_result, result=result) for result in results}
        self.change(of_table)


class _PackWork(_ReindexWork):
    def _survey(self) -> Survey:
        found = survey([self.alias], models_of_tables(self._tables()), pack=True)
        return replace(found, tasks=tuple(replace(task, has_index=False) for task in found.tasks))


class _CheckWork(_Work):
    def _do(self) -> None:
        scope = Scope((self.alias,), models_of_tables(self._tables()), self.job.sample, repair=False, threshold=None)
        self._show(Checker(scope, self, NoDisplay()).round())

    def say(self, activity: Activity) -> None:
        """As a Ticker: the tables are compared one after the other, and then what looks abandoned is waited for."""
        self._go_on()
        if activity.stage is Stage.WAITING:
            tables = [replace(each, status=Status.WAITING) for each in self.job.tables]
            self.job = replace(self.job, tables=tuple(tables))
        elif activity.subject in (labels := [each.label for each in self.job.tables]):
            self._advance(labels.index(activity.subject), activity)

    def _advance(self, at: int, activity: Activity) -> None:
        tables = [replace(each, status=Status.ENDED, part=1.0) for each in self.job.tables[:at]]
        tables.append(_with_activity(self.job.tables[at], activity))
        self.job = replace(self.job, tables=(*tables, *self.job.tables[at + 1 :]))

    def clear(self) -> None:
        """As a Ticker: nothing is in the way."""

    def _show(self, found: Round) -> None:
        problems = [check.error for check in found.databases if check.error]
        problems += [f"nobody completes the transaction {key!r}" for each in found.databases for key in each.unfinished]
        self.job = replace(self.job, problems=tuple(problems))
        self.change({check.schema.table: partial(_with_check, check=check) for check in found.tables})


_WORK: Final[Mapping[Kind, type[_Work]]] = {
    Kind.CHECK: _CheckWork,
    Kind.REINDEX: _ReindexWork,
    Kind.PACK: _PackWork,
}


def _keep(work: _Work, board: JobBoard, ended: Callable[[Job], object]) -> None:
    threading.Thread(target=following(work.run), name=f"smarterbase-{work.job.kind}-work", daemon=True).start()
    while not work.done.wait(EVERY):
        _show(work, board)
    job = replace(work.job, seen_at=datetime.now(UTC), ended_at=datetime.now(UTC))
    work.job = job
    _show(work, board)
    try:
        with unrecorded():
            ended(job)
    except DatabaseError:
        logger.exception(
            "The end of a %s of database %r could not be noted.",
            job.kind,
            work.alias,
            extra=_log_fields("job_not_noted", work),
        )
    finally:
        connections.close_all()


def _show(work: _Work, board: JobBoard) -> None:
    if work.stop.is_set():
        return
    try:
        board.update(replace(work.job, seen_at=datetime.now(UTC)))
    except JobReplaced:
        logger.warning(
            "A %s of database %r stops, since another job took its place.",
            work.job.kind,
            work.alias,
            extra=_log_fields("job_replaced", work),
        )
        work.stop.set()
    except StorageUnavailable as error:
        logger.warning(
            "How far the %s of database %r is cannot be shown: %s",
            work.job.kind,
            work.alias,
            error,
            extra={**_log_fields("job_not_shown", work), "detail": str(error)},
        )


def _log_fields(event: str, work: _Work) -> dict[str, str]:
    return {"event": event, **origin(work.alias, tenant_of(work.alias)), "job": str(work.job.kind)}


def _with_work(table: TableProgress, *, work: Work, now: float) -> TableProgress:
    if work.packed is not None and not work.ended:
        part = min(_ALMOST, work.packed / table.expected) if table.expected else 0.0
        return replace(table, status=Status.PACKING, documents=work.packed, part=part)
    status = Status.QUEUED
    if work.began is not None:
        status = Status.ENDED if work.ended else Status.READING if work.total is None else Status.WAITING
    return replace(table, status=status, documents=work.done, part=part_done(work, now))


def _with_result(table: TableProgress, *, result: Result) -> TableProgress:
    if result.outcome is Outcome.PACKED:
        return _with_packing(table, result)
    report = result.report
    documents = report.documents if report is not None else result.task.state.documents or 0
    figures: dict[str, float] = {}
    if report is not None:
        figures = {name: getattr(report, name) for name in ("read", "reused", "mended", "corrupt", "seconds")}
    return _ended(table, documents, _VERDICTS[result.outcome], figures, result.error)


def _with_packing(table: TableProgress, result: Result) -> TableProgress:
    packing = result.packing
    if packing is None:
        return _ended(table, 0, Verdict.FAILED, {}, result.packing_error)
    figures = {name: getattr(packing, name) for name in ("packs", "read", "left_out", "seconds")}
    return _ended(table, packing.documents, Verdict.PACKED if packing.packs else Verdict.LEFT, figures, "")


def _with_activity(table: TableProgress, activity: Activity) -> TableProgress:
    if activity.stage is not Stage.DOCUMENTS:
        return replace(table, status=Status.READING, part=_ALMOST)
    part = min(_ALMOST, activity.number / table.expected) if table.expected else 0.0
    return replace(table, status=Status.READING, documents=activity.number, part=part)


def _with_check(table: TableProgress, *, check: TableCheck) -> TableProgress:
    found = check.findings
    figures: dict[str, float] = {} if found is None else _figures(found, check)
    return _ended(table, 0 if found is None else found.documents, _verdict(check, found), figures, check.error)


def _ended(
    table: TableProgress, documents: int, verdict: Verdict, figures: Mapping[str, float], error: str
) -> TableProgress:
    return replace(
        table, status=Status.ENDED, documents=documents, part=1.0, verdict=verdict, figures=figures, error=error
    )


def _verdict(check: TableCheck, found: TableFindings | None) -> Verdict:
    if check.error or found is None:
        return Verdict.FAILED
    if check.is_sound:
        return Verdict.SOUND if found.state.trusted else Verdict.NO_INDEX
    return Verdict.UNTRUSTED if found.is_untrusted else Verdict.DAMAGED


def _figures(found: TableFindings, check: TableCheck) -> dict[str, float]:
    return {
        "drift": found.drift,
        "missing": sum(index.missing for index in found.indexes),
        "extra": sum(index.extra for index in found.indexes),
        "in_doubt": found.in_doubt,
        "corrupt": len(found.corrupt),
        "overdue": found.state.overdue or 0,
        "orphans": len(check.orphans),
        "needs_full": float(found.needs_full),
    }
