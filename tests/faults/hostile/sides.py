"""The engine and stock SQLite side by side: what one does, the other does."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from django.apps import apps
from django.db import connection, connections
from django.db.models import Model
from django.test import modify_settings, override_settings

from django_smarterbase.backend.resources import Resources, close_resources
from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.indexes.service import TableFindings

from ..places import ALIAS, Cell, Place, settings_of
from ..tally import TALLY
from .bestiary.models import TABLES

APP: Final = "tests.faults.hostile.bestiary"
STOCK: Final = "stock"
BARE: Final = "bare"  # the same documents for a process without Redis
SKIPPING: Final = "skipping"  # the same for one that passes over what it cannot read

Question = Callable[[str], Any]
Outcome = tuple[str, Any]


@dataclass(frozen=True)
class Skipping(Place):
    """A place whose scans pass over corrupt documents."""

    def database(self, cache: str = ALIAS) -> dict[str, Any]:
        """The entry of DATABASES."""
        entry = super().database(cache)
        return {**entry, "OPTIONS": {**entry["OPTIONS"], "on_corrupt": "skip"}}


class Sides:
    """The engine's database at ``place`` under ALIAS, BARE and SKIPPING, and stock SQLite under STOCK."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.cells = [Cell(ALIAS, place), Cell(BARE, place.behind(None)), Cell(SKIPPING, Skipping(**vars(place)))]

    @property
    def resources(self) -> Resources:
        """What the engine's first process has of the database."""
        resources: Resources = connections[ALIAS].resources
        return resources

    def open(self) -> None:
        """Make the aliases known."""
        for cell in self.cells:
            cell.open()
        stock = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
        every = {"default": connection.settings_dict, STOCK: stock}
        connections.settings.update(connections.configure_settings(every))
        with connections[STOCK].schema_editor() as editor:
            for model in TABLES:
                editor.create_model(model)
        connections[STOCK].disable_constraint_checking()  # the engine does not enforce foreign keys either

    def restart(self) -> None:
        """Every process of the engine begins anew, and knows nothing."""
        for cell in self.cells:
            cell.restart()
        close_resources(self.place.name)

    def close(self) -> None:
        """Forget the aliases."""
        self.restart()
        for cell in self.cells:
            cell.close()
        connections[STOCK].connection.close()
        del connections[STOCK]
        connections.settings.pop(STOCK)

    def key(self, model: type[Model], stem: str) -> str:
        """The object key of a document."""
        return self.resources.keys.document(model._meta.db_table, stem)

    def put(self, key: str, body: str | bytes) -> bytes:
        """Write an object past the engine; returns its bytes."""
        raw = body.encode() if isinstance(body, str) else body
        self.resources.store.put(key, raw)
        return raw

    def body(self, key: str) -> bytes | None:
        """The bytes of an object."""
        stored = self.resources.store.get(key)
        return None if stored is None else stored.body

    def audit(self, model: type[Model]) -> TableFindings:
        """The comparison of a table's index with its documents."""
        return self.resources.indexes.audit(connections[ALIAS].schema_of_model(model))

    def outside(self) -> list[Path]:
        """The files that stand neither in the database's folder nor among the adapter's own."""
        location = Path(self.place.location)
        inside = (location / self.place.name, location / "_sb")
        files = (path for path in location.parent.rglob("*") if not path.is_dir())
        return [path for path in files if not any(path.is_relative_to(folder) for folder in inside)]


@contextmanager
def opened(place: Place) -> Iterator[Sides]:
    """Both sides, empty."""
    sides = Sides(place)
    settings = settings_of({ALIAS: place, SKIPPING: place})
    with modify_settings(INSTALLED_APPS={"append": APP}), override_settings(**settings):
        assert apps.is_installed(APP)
        sides.open()
        try:
            yield sides
        finally:
            sides.close()


@dataclass
class Comparison:
    """Asks both sides, and keeps where they differ. ``test`` is its name in the report."""

    sides: Sides
    test: str
    differences: list[str] = field(default_factory=list)

    def empty(self, *models: type[Model]) -> None:
        """Begin with empty tables on both sides."""
        for model in models:
            for using in (ALIAS, STOCK):
                model._default_manager.using(using)._raw_delete(using)

    def ask(self, what: str, question: Question, aliases: Iterable[str] = (ALIAS,)) -> None:
        """Put a question to stock SQLite and to the engine."""
        expected = outcome(question, STOCK)
        for alias in aliases:
            found = outcome(question, alias)
            TALLY.count(self.test, f"compared with stock SQLite: {expected[0]}")
            if found != expected:
                self.differences.append(f"{what} ({alias}): {found!s:.400} in place of {expected!s:.400}")

    def ask_afresh(self, what: str, question: Question) -> None:
        """Put a question to processes that know nothing yet, with Redis and without."""
        self.sides.restart()
        self.ask(f"{what}, afresh", question, (ALIAS, BARE))

    def check(self, *models: type[Model]) -> None:
        """See to it that the indexes say what the documents say."""
        for model in models:
            TALLY.count(self.test, "indexes compared with their documents")
            findings = self.sides.audit(model)
            if not findings.is_sound:
                self.differences.append(f"the index of {model._meta.label}: {findings}")


def raw_rows(model: type[Model]) -> Question:
    """All rows of a table as SQLite holds them, which can always be read."""
    table, columns = model._meta.db_table, [field.column for field in model._meta.concrete_fields]
    selected = ", ".join(f"hex({column}), quote({column}), typeof({column})" for column in columns)

    def ask(using: str) -> list[Any]:
        with connections[using].cursor() as cursor:
            cursor.execute(f"SELECT {selected} FROM {table} ORDER BY 1, 2, 3")
            return cursor.fetchall()

    return ask


def outcome(question: Question, using: str) -> Outcome:
    """What comes of a question to a database: its answer in a form that tells types apart, or the error's class."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # naive moments are welcome here
        try:
            return "answer", told(question(using))
        except Exception as error:  # noqa: BLE001 - whatever stock Django raises is right
            return "error", f"{type(error).__module__}.{type(error).__qualname__}"


def corrupt_for(act: Callable[[], Any]) -> tuple[Any, str | None]:
    """What an act comes to, and the key of the object that it found corrupt, if it did."""
    try:
        return act(), None
    except CorruptDocument as error:
        return None, error.key


def told(value: Any, depth: int = 3) -> Any:
    """A value in which 1, 1.0 and True differ, and so do 0.0 and -0.0."""
    if isinstance(value, (list, tuple)) and depth:
        return [told(each, depth - 1) for each in value]
    if isinstance(value, memoryview):
        return told(bytes(value))
    return f"{type(value).__name__} {value!r}"
