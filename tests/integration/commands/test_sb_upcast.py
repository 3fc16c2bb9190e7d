"""``sb_upcast`` as it is called: what it writes, what it leaves, what it says and returns."""

from __future__ import annotations

import io
import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, migrations, transaction
from django.db.migrations.state import ProjectState
from django.db.transaction import TransactionManagementError

from django_smarterbase.backend import upcasting
from django_smarterbase.management import ending as endings
from django_smarterbase.management.commands import sb_upcast
from django_smarterbase.storage.history import Change
from django_smarterbase.tenants import tenant
from testproject.articles.models import Author
from tests.integration.commands.site import Site

HISTORY = "articles"


class Ran:
    """A run of the command."""

    def __init__(self, *labels: str, **options: Any) -> None:
        out, err = io.StringIO(), io.StringIO()
        self.status, self.message = 0, ""
        try:
            call_command("sb_upcast", *(labels or ("articles.Author",)), stdout=out, stderr=err, **options)
        except CommandError as error:
            self.status, self.message = error.returncode, str(error)
        self.out, self.err = out.getvalue(), err.getvalue()

    @property
    def table(self) -> dict[str, Any]:
        """What the JSON says of the one table, without the time that it took."""
        (table,) = json.loads(self.out)["tables"]
        del table["seconds"]
        return table


def _author_of_long_ago() -> tuple[ProjectState, ProjectState, Any]:
    """The states before and after the migration that gave authors their names, and that migration."""
    empty, before = ProjectState(), ProjectState()
    meta = Author._meta
    fields = [(field.name, field.clone()) for field in meta.local_fields if field.name != "name"]
    old_name = ("called", meta.get_field("name").clone())
    create = migrations.CreateModel("Author", [*fields, old_name], {"db_table": meta.db_table})
    create.state_forwards(HISTORY, before)
    with connection.schema_editor() as editor:
        create.database_forwards(HISTORY, editor, empty, before)
    after = before.clone()
    rename = migrations.RenameField("Author", "called", "name")
    rename.state_forwards(HISTORY, after)
    return before, after, rename


def authors_of_long_ago(number: int) -> list[Any]:
    """The keys of authors from before a migration, in their order."""
    before, after, rename = _author_of_long_ago()
    old: Any = before.apps.get_model(HISTORY, "Author")
    keys = [old.objects.create(called=f"author {number}").pk for number in range(number)]
    with connection.schema_editor() as editor:
        rename.database_forwards(HISTORY, editor, before, after)
    return keys


@pytest.fixture
def authors(site: Site) -> list[Any]:
    """The keys of 25 authors from before a migration, in their order, and one from after it."""
    keys = authors_of_long_ago(25)
    site.restart()
    keys.append(Author.objects.create(name="new").pk)
    return keys


def documents(site: Site) -> dict[str, dict[str, Any]]:
    """The documents of the authors by their stems."""
    prefix = f"{site.name}/{Author._meta.db_table}/"
    return {
        key.removeprefix(prefix).removesuffix(".json"): orjson.loads(body)
        for key, body in site.objects().items()
        if key.startswith(prefix)
    }


def versions(site: Site) -> list[int]:
    """The versions of all documents."""
    return sorted(document["_v"] for document in documents(site).values())


def test_documents_of_older_versions_are_written_back_and_no_others(site: Site, authors: list[Any]) -> None:
    assert versions(site) == [1] * 25 + [2]
    before = documents(site)[authors[-1].hex]
    ran = Ran()
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("articles.Author: 25 of 26 documents written back in version 2 (")
    assert versions(site) == [2] * 26
    assert documents(site)[authors[-1].hex] == before
    assert {"name" in each and "called" not in each for each in documents(site).values()} == {True}
    assert sorted(Author.objects.values_list("name", flat=True)) == sorted(
        [*(f"author {number}" for number in range(25)), "new"]
    )


def test_second_run_writes_nothing(site: Site, authors: list[Any]) -> None:
    Ran()
    before = site.objects()
    ran = Ran()
    assert ran.out == (
        "articles.Author: 26 documents, all of version 2; nothing to do.\nEvery document is of the newest version.\n"
    )
    assert (ran.status, site.objects()) == (0, before)


def test_documents_of_a_tenant_are_written_back_and_no_others(site: Site, authors: list[Any]) -> None:
    with tenant("acme"):
        authors_of_long_ago(3)
    site.restart()
    ran = Ran(tenant="acme", json=True)
    assert (ran.status, ran.table["documents"], ran.table["written"]) == (0, 3, 3)
    assert versions(site) == [1] * 25 + [2]
    with tenant("acme"):
        assert set(Author.objects.values_list("name", flat=True)) == {"author 0", "author 1", "author 2"}


def test_dry_run_counts_and_writes_nothing(site: Site, authors: list[Any]) -> None:
    before = site.objects()
    ran = Ran(dry_run=True)
    assert ran.out == "articles.Author: 25 of 26 documents are of older versions than 2 and would be written back.\n"
    assert (ran.status, site.objects()) == (0, before)


def test_json_tells_what_became_of_each_table(site: Site, authors: list[Any]) -> None:
    counts = {"documents": 26, "outdated": 25, "overtaken": 0, "failed": 0, "errors": [], "error": None}
    table = {"database": "default", "model": "articles.Author", "table": "authors", "version": 2, **counts}
    assert Ran(json=True, dry_run=True).table == {**table, "outcome": "would be written back", "written": 0}
    assert Ran(json=True).table == {**table, "outcome": "written back", "written": 25}
    assert Ran(json=True).table == {**table, "outcome": "up to date", "outdated": 0, "written": 0}


def test_table_that_no_migration_has_changed_is_not_read(site: Site) -> None:
    Author.objects.create(name="Ada")
    site.folder.joinpath(site.name, "authors", "broken.json").write_text("no JSON")
    ran = Ran(verbosity=2)
    assert (ran.status, ran.out) == (
        0,
        "articles.Author: no migration has changed its documents; nothing to do.\nEvery document is of the newest "
        "version.\n",
    )


def test_index_stays_trusted_and_claims_stay_taken(site: Site, authors: list[Any]) -> None:
    connection.resources.indexes.rebuild(site.schema(Author))
    trusted = site.state(Author)
    Ran()
    assert site.state(Author) == trusted
    assert Author.objects.require_index().filter(name="author 7").count() == 1


@pytest.mark.parametrize("batch", [1, 7, 25, 1000])
def test_no_more_than_a_batch_is_written_at_a_time(
    site: Site, authors: list[Any], batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    write_back = upcasting.Upcaster._write_back

    def watched(self: Any, found: dict[str, Any]) -> None:
        sizes.append(len(found))
        write_back(self, found)

    monkeypatch.setattr(upcasting.Upcaster, "_write_back", watched)
    Ran(batch=batch)
    assert (sum(sizes), max(sizes) <= batch) == (25, True)
    assert versions(site) == [2] * 26


@pytest.mark.parametrize(
    ("rival", "left"),
    [(lambda rows: rows.update(name="by a rival"), ["by a rival"]), (lambda rows: rows.delete(), [])],
    ids=["changed", "deleted"],
)
def test_document_that_another_writes_first_is_left_as_that_one_wrote_it(
    site: Site, authors: list[Any], monkeypatch: pytest.MonkeyPatch, rival: Callable[[Any], Any], left: list[str]
) -> None:
    writes_of, rivals = upcasting.Upcaster._writes, [lambda: rival(Author.objects.filter(pk=authors[3]))]

    def overtaken(self: Any, found: dict[str, Any]) -> Any:
        writes = writes_of(self, found)
        if rivals:
            thread = threading.Thread(target=_apart, args=(rivals.pop(0),))
            thread.start()
            thread.join()
        return writes

    monkeypatch.setattr(upcasting.Upcaster, "_writes", overtaken)
    table = Ran(json=True).table
    assert (table["outdated"], table["written"], table["overtaken"], table["failed"]) == (25, 24, 1, 0)
    assert list(Author.objects.filter(pk=authors[3]).values_list("name", flat=True)) == left
    assert versions(site) == [2] * (25 + len(left))


def _apart(do: Any) -> None:
    try:
        do()
    finally:
        connections.close_all()


def test_document_that_cannot_be_read_is_named_and_the_others_are_written(site: Site, authors: list[Any]) -> None:
    path = Path(site.folder, site.name, "authors", f"{authors[0].hex}.json")
    path.write_text(json.dumps({"_v": 1, "id": str(authors[0]), "called": 5}))
    ran = Ran()
    assert ran.status == 1
    assert ran.message == "1 of 1 table is not up to date. The reasons stand above."
    assert f"{authors[0].hex}.json" in ran.err
    assert "of older versions: 24 written back in version 2, 1 that cannot be" in ran.err
    assert versions(site) == [1] + [2] * 25


def test_asked_to_end_it_finishes_the_batch_and_goes_on_the_next_time(
    site: Site, authors: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = endings.Ending()
    write_back = upcasting.Upcaster._write_back

    def then_ask(self: Any, found: dict[str, Any]) -> None:
        write_back(self, found)
        asked.ask(signal.SIGTERM, None)

    monkeypatch.setattr(upcasting.Upcaster, "_write_back", then_ask)
    monkeypatch.setattr(sb_upcast, "asked_to_end", lambda: _given(asked))
    ran = Ran(batch=10)
    assert ran.status == 130
    assert "interrupted after" in ran.out
    assert ran.message == (
        "Interrupted: 10 documents are written back, and stay so. Run sb_upcast again when you like; it goes on with "
        "the others."
    )
    assert versions(site) == [1] * 15 + [2] * 11
    monkeypatch.undo()
    assert "15 of 26 documents written back" in Ran().out
    assert versions(site) == [2] * 26


class _given:  # noqa: N801 - stands in for a context manager
    def __init__(self, ending: endings.Ending) -> None:
        self.ending = ending

    def __enter__(self) -> endings.Ending:
        return self.ending

    def __exit__(self, *_error: object) -> None:
        pass


def test_second_signal_ends_it_at_once() -> None:
    ending = endings.Ending()
    ending.ask(signal.SIGINT, None)
    with pytest.raises(KeyboardInterrupt):
        ending.ask(signal.SIGINT, None)


def test_signals_ask_within_the_block_only() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with endings.asked_to_end() as ending:
        signal.raise_signal(signal.SIGTERM)
        assert ending.asked
    assert signal.getsignal(signal.SIGTERM) is before


def test_code_from_before_a_migration_is_refused(site: Site, authors: list[Any]) -> None:
    """The installed author has a name still, which a later migration has renamed."""
    resources, table = connection.resources, Author._meta.db_table
    later = resources.history(table).with_step(Change.RENAME, "name", to="title")
    resources.store.put(resources.keys.schema(table), later.dump())
    before = site.objects()
    ran = Ran()
    assert (ran.status, site.objects()) == (1, before)
    assert ran.err == (
        "articles.Author: failed. articles.Author: the code of this process knows version 2 of the table 'authors', "
        "and migrations have made version 3. Run it with the newest code.\n"
    )


def test_transaction_is_refused(site: Site, authors: list[Any]) -> None:
    with transaction.atomic(), pytest.raises(TransactionManagementError):
        upcasting.Upcaster(connection, site.schema(Author)).run(batch=1, dry_run=False, go_on=lambda: True)


@pytest.mark.parametrize(
    ("batch", "problem"), [("0", "0 documents at a time are none"), ("x", "'x' is no whole number")]
)
def test_batch_that_is_none_is_refused(site: Site, batch: str, problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        call_command("sb_upcast", "--batch", batch)


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        sb_upcast.Command().create_parser("manage.py", "sb_upcast").parse_args(["--help"])
    help = capsys.readouterr().out
    assert max(map(len, help.splitlines())) <= 80
    for words in ("when to run it:", "examples:", "exit status:", "--dry-run", "--batch N", "--json"):
        assert words in help
