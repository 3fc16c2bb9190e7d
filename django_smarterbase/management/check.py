"""The work of ``sb_check``: indexes, claims and intents are compared with the documents, and mended.

A round looks at every table first, then mends what is to be mended, the rebuilds of all tables together, since each of
them mostly waits for ``write_deadline``. What only looks like the trace of a dead process is judged last of all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from django.db import DatabaseError

from ..backend.leftovers import OrphanClaims, UnfinishedTransactions
from ..exceptions import SmarterBaseError
from ..indexes.breaker import breaker_of
from ..indexes.service import AuditStage, FallbackReason, IndexUntrusted, TableFindings
from ..packs.inspection import PackFindings
from ..tables import TableSchema
from .lastchecks import LastCheck, LastChecks
from .progress import Display
from .reindex import Outcome, Reindexer, Result, Task
from .tables import Models, connection_of, tables_of
from .ticker import Activity, Stage, Ticker

_PAUSE: Final = 0.2  # seconds
_DOWN: Final = frozenset((FallbackReason.UNREACHABLE, FallbackReason.BREAKER_OPEN))
_FAILURES: Final = (SmarterBaseError, DatabaseError, OSError)


@dataclass(slots=True)
class Repairs:
    """What was mended of a table: notes settled, records amended, claims removed, and whether it was rebuilt."""

    settled: int = 0
    amended: int = 0
    claims: int = 0
    rebuilt: bool = False

    def __bool__(self) -> bool:
        return bool(self.settled or self.amended or self.claims or self.rebuilt)


@dataclass(slots=True)
class TableCheck:
    """One table in one round. ``before`` is what was found first, ``findings`` what is so now; None after an error.

    ``orphans`` are the keys of claims that no document holds and that stand still, ``unreadable`` those of objects
    among the claims that are none. ``packs`` are None when it has none; whatever is wrong with them, no answer is, so
    that they do not count. ``packed_by_itself`` tells whether the option ``pack`` is on.
    """

    database: str
    schema: TableSchema
    before: TableFindings | None = None
    findings: TableFindings | None = None
    orphans: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    packs: PackFindings | None = None
    packed_by_itself: bool = False
    repairs: Repairs = field(default_factory=Repairs)
    error: str = ""

    @property
    def is_sound(self) -> bool:
        """Whether all is well now."""
        if self.error or self.findings is None:
            return False
        return self.findings.is_sound and not self.orphans and not self.unreadable


@dataclass(slots=True)
class DatabaseCheck:
    """One database in one round: the transactions that were decided, and the keys of those that are to be."""

    database: str
    decided: int = 0
    unfinished: tuple[str, ...] = ()
    error: str = ""

    @property
    def is_sound(self) -> bool:
        """Whether all is well now."""
        return not (self.error or self.unfinished)


@dataclass(frozen=True, slots=True)
class Round:
    """What one round found and did. One that was ``interrupted`` has those of ``known`` tables looked at by then."""

    number: int
    databases: tuple[DatabaseCheck, ...]
    tables: tuple[TableCheck, ...]
    seconds: float
    interrupted: bool = False
    known: int = 0

    @property
    def is_sound(self) -> bool:
        """Whether all is well now."""
        return self.wrong == 0

    @property
    def wrong(self) -> int:
        """How many tables and databases are not well now."""
        return sum(not table.is_sound for table in self.tables) + sum(not each.is_sound for each in self.databases)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a check is about. ``sample`` is how many documents of each table are looked at, None for all.

    ``threshold`` is the drift in per cent above which an index is mended, None for never. ``repair`` mends everything.
    """

    databases: tuple[str, ...]
    chosen: Models | None
    sample: int | None
    repair: bool
    threshold: float | None

    def wants(self, findings: TableFindings) -> bool:
        """Whether the index is to be mended."""
        if self.repair:
            return not findings.is_sound
        return self.threshold is not None and findings.drift > self.threshold


class Checker:
    """Runs the rounds of a check."""

    def __init__(self, scope: Scope, ticker: Ticker, display: Display) -> None:
        self._scope = scope
        self._ticker = ticker
        self._display = display
        self._rounds = 0
        self._began = 0.0
        self._databases: list[_Database] = []

    def round(self) -> Round:
        """Look at everything once and mend what is to be mended. Errors of a table or database stand in its check."""
        self._began = time.monotonic()
        self._rounds += 1
        databases = self._databases = [_Database(alias, self._scope, self._ticker) for alias in self._scope.databases]
        for database in databases:
            database.begin()
        tables = self._tables()
        for position, table in enumerate(tables, 1):
            table.place = _Place(position, len(tables))
            table.look()
            table.look_at_claims()
            table.look_at_packs()
        self._mend(tables)
        self._await_suspects(databases)
        for database in databases:
            database.judge()
            database.note()
        self._ticker.clear()
        return self._round([table.check for table in tables])

    def so_far(self) -> Round:
        """What a round that was interrupted had found by then, of the tables that it had looked at."""
        looked_at = [table.check for table in self._tables() if table.check.findings is not None or table.check.error]
        return replace(self._round(looked_at), interrupted=True, known=len(self._tables()))

    def _round(self, tables: Iterable[TableCheck]) -> Round:
        databases = tuple(each.check for each in self._databases)
        return Round(self._rounds, databases, tuple(tables), time.monotonic() - self._began)

    def _tables(self) -> list[_Table]:
        return [table for database in self._databases for table in database.tables]

    def _mend(self, tables: Sequence[_Table]) -> None:
        damaged = [table for table in tables if table.mend_singly()]
        for full in (False, True):
            self._rebuild([table for table in damaged if table.needs_full is full], full=full)

    def _rebuild(self, tables: Sequence[_Table], *, full: bool) -> None:
        if not tables:
            return
        self._ticker.clear()
        tasks = [table.task() for table in tables]
        reindexer = Reindexer(tasks, full=full)

        def tell(result: Result) -> None:
            self._display.clear()
            if result.outcome is Outcome.REBUILT:
                tables[tasks.index(result.task)].was_rebuilt()

        results = reindexer.run(tell, lambda: self._display.show(reindexer.works))
        self._display.clear()
        for table, result in zip(tables, results, strict=True):
            table.look()
            if result.outcome is Outcome.FAILED and table.is_damaged:
                table.check.error = result.error

    def _await_suspects(self, databases: Iterable[_Database]) -> None:
        ripe = max((at for database in databases for at in database.ripe_at()), default=0.0)
        while (left := ripe - time.monotonic()) > 0:
            self._ticker.say(Activity(Stage.WAITING, number=math.ceil(left)))
            time.sleep(min(left, _PAUSE))


@dataclass(frozen=True, slots=True)
class _Place:
    """The ``position``-th of so many ``tables``."""

    position: int = 0
    tables: int = 0


class _Table:
    """One table's way through a round."""

    def __init__(self, alias: str, schema: TableSchema, scope: Scope, ticker: Ticker) -> None:
        resources = connection_of(alias).resources
        self.check = TableCheck(alias, schema, packed_by_itself=resources.options.pack)
        self.claims = OrphanClaims(resources, schema, scope.sample)
        self.place = _Place()
        self._indexes = resources.indexes
        self._store = resources.store
        self._deadline = resources.options.write_deadline
        self._scope = scope
        self._ticker = ticker

    @property
    def needs_full(self) -> bool:
        """Whether a rebuild must read every document, as the records that it would go by are wrong."""
        return self.check.findings is not None and self.check.findings.needs_full

    @property
    def is_damaged(self) -> bool:
        """Whether the index is, as far as is known now."""
        findings = self.check.findings
        return findings is not None and (findings.is_untrusted or findings.has_drift)

    def look(self) -> None:
        """Compare the index with the documents."""
        with _noting(self.check):
            found = self._indexes.audit(
                self.check.schema,
                sample=self._scope.sample,
                progress=partial(self._say, Stage.DOCUMENTS),
                afterwards=self._say_afterwards,
            )
            self.check.findings = found
            self.check.before = self.check.before or found

    def look_at_claims(self) -> None:
        """Look for claims that seem to be orphans."""
        with _noting(self.check):
            self.claims.suspect(partial(self._say, Stage.CLAIMS))

    def look_at_packs(self) -> None:
        """See what packs there are; with a sample of the documents, without comparing any with them."""
        say = partial(self._say, Stage.PACKS)
        compare = self._scope.sample is None
        self.check.packs = self._store.inspect_packs(self.check.schema.table, compare=compare, progress=say)

    def mend_singly(self) -> bool:
        """Mend what can be mended note by note and record by record; returns whether that leaves a rebuild to do."""
        findings, schema, repairs = self.check.findings, self.check.schema, self.check.repairs
        if findings is None or self.check.error or not self._scope.wants(findings):
            return False
        if findings.state.reason in _DOWN:
            self.check.error = f"Redis cannot be used: {findings.state.detail or findings.state.reason}"
            return False
        if findings.is_untrusted or findings.needs_rebuild:
            return True
        try:
            repairs.settled = self._indexes.sweep(schema)
            repairs.amended = self._indexes.amend(schema, findings.amendable)
        except IndexUntrusted:
            return True
        except _FAILURES as error:
            self.check.error = str(error)
            return False
        if repairs:
            self.look()
        return self.is_damaged

    def task(self) -> Task:
        """The rebuild. Whatever the state says, the documents have said otherwise."""
        state = self._indexes.state(self.check.schema)
        if state.trusted:
            state = replace(state, reason=FallbackReason.DRIFT, detail="found by sb_check")
        return Task(self.check.database, self.check.schema, self._indexes, state, self._deadline)

    def was_rebuilt(self) -> None:
        """Note the rebuild at once: a check that is interrupted tells of it too, without another comparison."""
        self.check.repairs.rebuilt = True
        if self.check.findings is not None:
            state = self._indexes.state(self.check.schema)
            self.check.findings = replace(
                self.check.findings, state=state, indexes=(), miscounts=0, miscounted=(), examples=()
            )

    def judge(self) -> None:
        """Say which claims are orphans, and remove them if that is wanted, or if the index had to be mended."""
        with _noting(self.check):
            orphans = self.claims.confirmed()
            self.check.unreadable = tuple(self.claims.unreadable)
            if self._scope.repair or self.check.repairs:
                self.check.repairs.claims = self.claims.remove(orphans)
                orphans = []
            self.check.orphans = tuple(orphan.key for orphan in orphans)

    def _say(self, stage: Stage, number: int) -> None:
        schema, place = self.check.schema, self.place
        self._ticker.say(
            Activity(stage, schema.label, number, self.check.database, schema.table, place.position, place.tables)
        )

    def _say_afterwards(self, stage: AuditStage, number: int) -> None:
        self._say(Stage(stage.value), number)


class _Database:
    """One database's way through a round."""

    def __init__(self, alias: str, scope: Scope, ticker: Ticker) -> None:
        connection = connection_of(alias)
        self.check = DatabaseCheck(alias)
        self.tables: list[_Table] = []
        self._transactions = UnfinishedTransactions(connection.resources, connection.catalog.find)
        self._cache = connection.resources.options.cache
        self._last_checks = LastChecks(connection.resources)
        self._scope = scope
        self._ticker = ticker

    def begin(self) -> None:
        """Find the tables, and look at the transactions first, as deciding them writes documents."""
        if self._cache is not None:
            breaker_of(self._cache).reset()
        with _noting(self.check):
            if self._scope.repair:
                self._ticker.say(Activity(Stage.TRANSACTIONS, self.check.database))
                self.check.decided = self._transactions.decide()
            self._transactions.suspect()
            for schema in tables_of(self.check.database, self._scope.chosen):
                self.tables.append(_Table(self.check.database, schema, self._scope, self._ticker))

    def ripe_at(self) -> Iterator[float]:
        """When each of the suspects can be judged (``time.monotonic``)."""
        for at in (self._transactions.ripe_at, *(table.claims.ripe_at for table in self.tables)):
            if at is not None:
                yield at

    def judge(self) -> None:
        """Say what has been abandoned."""
        with _noting(self.check):
            self.check.unfinished = tuple(self._transactions.confirmed())
        for table in self.tables:
            table.judge()

    def note(self) -> None:
        """Keep what was found for those who look at it later."""
        checks = [table.check for table in self.tables]
        found = {
            check.schema.table: LastCheck.of(check.findings, self._scope.sample, sound=check.is_sound)
            for check in checks
            if check.findings is not None and not check.error
        }
        if found:
            self._last_checks.note(found)


@contextmanager
def _noting(check: TableCheck | DatabaseCheck) -> Iterator[None]:
    """Keeps the first error of a table or database in its check, so that the others are looked at all the same."""
    try:
        yield
    except _FAILURES as error:
        check.error = check.error or str(error)
