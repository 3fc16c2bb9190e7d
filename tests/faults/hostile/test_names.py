"""Names of tables, and of objects that are no documents: none leads out of the database's folder."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, models, transaction
from django.db.utils import NotSupportedError, OperationalError

from django_smarterbase.backend.upkeep import delete_database
from django_smarterbase.storage.files import make_folders

from ..tally import TALLY
from . import written
from .bestiary.models import Base, Beast
from .documents import text_of
from .generate import load
from .sides import ALIAS, BARE, STOCK, Comparison, Sides, outcome

TEST = "hostile names"
ENTRIES = load("names")


def named(kind: str) -> list[str]:
    """The names of a kind."""
    return [written.read(entry["value"]) for entry in ENTRIES if entry["kind"] == kind]


def table_called(name: str, number: int) -> Any:
    """A model whose table has this name."""
    meta = type("Meta", (Base.Meta,), {"abstract": False, "db_table": name})
    fields: dict[str, Any] = {
        "id": models.BigAutoField(primary_key=True),
        "value": models.CharField(max_length=50, db_index=True),
        "code": models.CharField(max_length=10, unique=True),
    }
    return type(f"Called{number}", (Base,), {"__module__": __name__, "Meta": meta, **fields})


MODELS = {name: table_called(name, number) for number, name in enumerate(named("table"))}


def beasts(using: str = ALIAS) -> Any:
    """All beasts."""
    return Beast.objects.using(using)


def use(model: Any, using: str) -> list[Any]:
    """Rows are made, changed in a transaction, found and refused."""
    rows = model.objects.using(using)
    made = [rows.create(value="x", code=code).pk for code in "ab"]
    with transaction.atomic(using=using):
        changed = [rows.filter(code=code).update(value="y") for code in "ab"]
    found = [rows.filter(value="y").count(), [row.code for row in rows.order_by("-pk")]]
    return [made, changed, found, outcome(lambda _: rows.create(value="z", code="a"), using)[1]]


@pytest.mark.parametrize("name", MODELS, ids=lambda name: f"{name!r:.20}")
def test_table_of_any_name_works_as_on_stock_sqlite_or_is_refused(sides: Sides, name: str) -> None:
    model = MODELS[name]
    if name.lower().startswith("_sb_"):
        with pytest.raises(NotSupportedError, match="Give the model another db_table"):
            use(model, ALIAS)
        return
    try:
        with connections[STOCK].schema_editor() as editor:
            editor.create_model(model)
    except OperationalError:
        assert outcome(lambda using: use(model, using), ALIAS) == ("error", "django.db.utils.OperationalError")
        return
    compared = Comparison(sides, TEST)
    compared.ask("use", lambda using: use(model, using))
    compared.ask_afresh("rows", lambda using: list(model.objects.using(using).order_by("pk").values_list("pk", "code")))
    assert not compared.differences


def test_tables_whose_names_are_refused_leave_the_connection_as_it_was(sides: Sides) -> None:
    for model in (MODELS["_sb_pending"], MODELS["_SB_State"]):
        with pytest.raises(NotSupportedError):
            model.objects.using(ALIAS).count()
    beasts().create(name="lion", kind="cat")
    assert beasts().filter(name="lion").delete()[0] == 1


@pytest.fixture
def lion(sides: Sides) -> Iterator[Sides]:
    """One beast."""
    beasts().create(name="lion", kind="cat", tag="lion")
    yield sides
    beasts().all().delete()


def strange_files(folder: Path, outside: Path) -> list[Path]:
    """Fill a folder with what is no object of it, and with what is no file; returns what was made."""
    made = []
    for name in named("stranger"):
        path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name.encode().replace(b"<ff>", b"\xff")))
        make_folders(str(path.parent), mode=None, fsync=False)
        path.write_text(text_of("lion"))
        made.append(path)
    for name, target in (("linked", outside), ("dangling", Path("/nowhere")), ("loop", folder / "loop.json")):
        (folder / f"{name}.json").symlink_to(target)
    (folder / "elsewhere").symlink_to(outside.parent)
    os.mkfifo(folder / "pipe.json")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(folder)  # the path of a socket may be no longer than 107 bytes
        server.bind("socket.json")
    (folder / "folder.json").mkdir()
    (folder / "folder.json" / "x.json").write_text("{}")
    return made


@pytest.fixture
def beside(lion: Sides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A document outside of the database, and strangers of all kinds in the beasts' folder; some lead to it."""
    outside = tmp_path / "outside.json"
    outside.write_text(text_of("linked"))
    monkeypatch.chdir(tmp_path)
    folder = Path(lion.place.location) / lion.resources.keys.table_prefix(Beast._meta.db_table)
    strange_files(folder, outside)
    yield outside
    assert outside.read_text() == text_of("linked")
    lion.restart()
    delete_database(lion.resources)
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def test_strangers_in_the_folder_of_a_table_are_passed_over(lion: Sides, beside: Path) -> None:
    for using in (ALIAS, BARE):
        assert [beast.name for beast in beasts(using).scan()] == ["lion"]
        assert len(beasts(using).filter(kind="cat")) == 1
    schema = connections[ALIAS].schema_of_model(Beast)
    assert lion.resources.indexes.rebuild(schema, full=True).documents == 1
    assert beasts().count() == 1
    assert lion.audit(Beast).is_sound
    TALLY.count(TEST, "objects that are no documents", len(named("stranger")))


@pytest.mark.parametrize("name", ["linked", "dangling", "loop", "pipe", "socket"])
def test_what_is_no_file_is_no_document_and_is_replaced_by_one(lion: Sides, beside: Path, name: str) -> None:
    path = Path(lion.place.location) / lion.key(Beast, name)
    assert not beasts().filter(name=name).exists()
    beasts().create(name=name, kind="new")
    assert path.is_file()
    assert not path.is_symlink()
    assert beasts().filter(name=name).update(legs=3) == 1
    assert [beast.legs for beast in beasts(BARE).filter(name=name)] == [3]
    assert beasts().filter(name=name).delete()[0] == 1


def test_strangers_among_the_system_objects_harm_nothing(lion: Sides, tmp_path: Path) -> None:
    system = Path(lion.place.location) / lion.place.name / "_sb"
    for folder in ("intents", "schema", "sequences", "leases", f"unique/{Beast._meta.db_table}"):
        for name in named("stranger"):
            raw = os.fsencode(system / folder) + b"/" + name.encode().replace(b"<ff>", b"\xff")
            path = Path(os.fsdecode(raw))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
    lion.restart()
    connection = connections[ALIAS]
    assert connection.session.recovery.recover(connection.catalog.find) == 0
    assert not connection.introspection.table_names()
    assert [beast.name for beast in beasts().filter(kind="cat")] == ["lion"]
    assert beasts().all().delete()[0] == 1
    delete_database(lion.resources)
    assert not [path for path in system.rglob("*") if path.is_file()]
