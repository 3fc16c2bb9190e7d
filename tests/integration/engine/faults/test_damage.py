"""System objects that somebody has damaged, and transactions that something else than the database ends."""

from __future__ import annotations

import logging
import time
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import IntegrityError, OperationalError, connection, transaction

from django_smarterbase.backend.claims import claim_key
from django_smarterbase.backend.uniqueness import plain_claims
from django_smarterbase.backend.unit_of_work import UnitOfWork
from django_smarterbase.exceptions import CorruptDocument
from testproject.articles.models import Article, Author
from tests.integration.commands.site import WRITE_DEADLINE, Site

INTENT = "01a2136b-0000-7000-8000-000000000000"


def put(key: str, body: Any) -> None:
    """Write an object past the engine."""
    connection.resources.store.put(key, orjson.dumps(body))


def claim_of(author: Author) -> str:
    """The key of the claim to an author's name."""
    schema = connection.schema_of_model(Author)
    row = {column.name: None for column in schema.columns} | {"name": author.name}
    (claim,) = plain_claims(schema, row)
    return claim_key(connection.resources, schema.table, claim)


def intent_of(**write: Any) -> str:
    """Leave the intent of a transaction that made one author; returns its key."""
    keys, table = connection.resources.keys, Author._meta.db_table
    stem = UUID(int=7).hex
    body = orjson.dumps({"id": str(UUID(int=7)), "name": "left", "_v": 1}).decode()
    nothing = {"base": None, "undo": None, "takes": [], "frees": []}
    whole = {"table": table, "stem": stem, "key": keys.document(table, stem), "body": body, **nothing, **write}
    put(keys.intent(INTENT), {"id": INTENT, "writes": [whole]})
    return keys.intent(INTENT)


def files_around(site: Site) -> dict[Path, bytes]:
    """Every file of the site and beside it, the locks apart."""
    files = (path for path in site.folder.parent.rglob("*") if path.is_file() and "locks" not in path.parts)
    return {path: path.read_bytes() for path in files}


def create_groups(count: int) -> None:
    """Create so many groups in one transaction, with keys given by hand."""
    with transaction.atomic():
        for number in range(count):
            Group.objects.create(id=100 + number, name=f"group {number}")


def recover() -> int:
    """Have this process decide what others have left; returns how many it did."""
    return connection.session.recovery.recover(connection.catalog.find)


def test_later_statements_see_nothing_of_a_transaction_whose_commit_was_interrupted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    def create() -> None:
        with transaction.atomic():
            Author.objects.create(name="never")
            transaction.on_commit(lambda: called.append(1))

    with monkeypatch.context() as patch:
        patch.setattr(UnitOfWork, "commit", interrupt)
        with pytest.raises(KeyboardInterrupt):
            create()
    assert not Author.objects.exists()
    assert Author.objects.create(name="after").name == "after"
    with transaction.atomic():
        Author.objects.create(name="last")
    assert sorted(Author.objects.values_list("name", flat=True)) == ["after", "last"]
    assert not called


@pytest.mark.parametrize("together", [False, True])
def test_row_is_not_written_when_the_sequence_of_its_table_is_damaged(site: Site, together: bool) -> None:
    Group.objects.create(name="first")
    key = connection.resources.keys.sequence(Group._meta.db_table)
    put(key, {"last": "7"})
    site.restart()
    before = site.objects()
    with pytest.raises(CorruptDocument, match=r"its last value is '7'.*Write"):
        create_groups(2 if together else 1)
    with pytest.raises(CorruptDocument, match=key):
        Group.objects.create(name="fourth")
    assert site.objects() == before
    assert Group.objects.get().name == "first"


def test_insert_fails_as_on_sqlite_when_the_sequence_has_no_more_values(site: Site) -> None:
    Group.objects.create(id=2**63 - 1, name="last")
    with pytest.raises(OperationalError, match=r"auth_group.*has no more values"):
        Group.objects.create(name="one more")
    with pytest.raises(OperationalError, match="has no more values"):
        Group.objects.bulk_create([Group(name="a"), Group(name="b")])
    assert Group.objects.create(id=5, name="by hand").pk == 5
    assert Group.objects.count() == 2


@pytest.mark.parametrize("stem", [None, 5, ["x"], "", "../../x", "x" * 300, "%2e"])
def test_claim_that_names_no_document_says_so_and_hinders_nobody_else(site: Site, stem: Any) -> None:
    author = Author.objects.create(name="Ada")
    key = claim_of(author)
    put(key, {"table": Author._meta.db_table, "stem": stem})
    site.server.kill()
    with pytest.raises(CorruptDocument, match="it is a claim of no document") as raised:
        Author.objects.create(name="Ada")
    assert raised.value.key == key
    assert Author.objects.create(name="Grace").name == "Grace"
    assert author.delete()[0] == 1
    assert sorted(Author.objects.values_list("name", flat=True)) == ["Grace"]


def test_connections_open_when_a_transaction_cannot_be_decided_for_a_damaged_claim(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    Author.objects.create(name="Ada")
    key = claim_of(Author(name="left"))
    intent = intent_of(takes=[key.split("/unique/")[1].split("/", 1)[1].removesuffix(".json")])
    put(key, [])
    with caplog.at_level(logging.ERROR, "django_smarterbase.transactions"):
        assert recover() == 0
    assert key in caplog.text
    assert intent in caplog.text
    time.sleep(WRITE_DEADLINE * 1.1)
    connection.close()
    assert [author.name for author in Author.objects.all()] == ["Ada"]
    with pytest.raises(CommandError):
        call_command("sb_check", Author._meta.label, stdout=StringIO(), stderr=StringIO())


@pytest.mark.parametrize(
    "damage",
    [
        {"key": "other/articles_author/x.json"},
        {"key": "../x.json"},
        {"table": "", "key": "other/articles_author/x.json"},
        {"table": "", "key": "{system}../x.json"},
        {"table": "", "key": "_sb/locks/00"},
        {"stem": "../x"},
        {"stem": 5},
        {"body": 5},
        {"body": "[]"},
        {"undo": ["x"]},
        {"base": 5},
        {"takes": "name/0"},
        {"frees": [None]},
    ],
    ids=str,
)
def test_damaged_intent_is_left_alone_and_writes_nothing(
    site: Site, caplog: pytest.LogCaptureFixture, damage: dict[str, Any]
) -> None:
    Author.objects.create(name="Ada")
    system = connection.resources.keys.intent_prefix().removesuffix("intents/")
    key = intent_of(**{name: text.format(system=system) if name == "key" else text for name, text in damage.items()})
    before = files_around(site)
    with caplog.at_level(logging.ERROR, "django_smarterbase.transactions"):
        assert recover() == 0
    assert f"{key!r}" in caplog.text
    assert connection.session.recovery.unfinished() == [key]
    assert files_around(site) == before
    assert [author.name for author in Author.objects.all()] == ["Ada"]


def test_intent_under_another_name_than_its_own_is_left_alone(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    key = intent_of()
    store = connection.resources.store
    other = connection.resources.keys.intent("other")
    store.put(other, store.get(key).body)
    store.delete(key)
    with caplog.at_level(logging.ERROR, "django_smarterbase.transactions"):
        assert recover() == 0
    assert f"{other!r}" in caplog.text
    assert not Author.objects.exists()


def test_sound_intent_is_carried_out_all_the_same(site: Site) -> None:
    intent_of()
    assert recover() == 1
    assert [author.name for author in Author.objects.all()] == ["left"]


def test_writes_say_that_the_manifest_is_damaged_and_queries_scan(site: Site) -> None:
    author = Author.objects.create(name="Ada")
    Article.objects.create(author=author, category="c", title="t")
    key = connection.resources.keys.manifest()
    put(key, {"tables": {Article._meta.db_table: {"state": "ready", "epoch": ["e"]}}})
    site.restart()
    assert [article.title for article in Article.objects.filter(category="c")] == ["t"]
    with pytest.raises(CorruptDocument, match="Stop all writers, remove the object, and run sb_reindex") as raised:
        Article.objects.filter(category="c").update(title="u")
    assert raised.value.key == key
    assert Article.objects.get().title == "t"


def test_table_says_that_its_schema_object_is_damaged_and_the_others_go_on(site: Site) -> None:
    author = Author.objects.create(name="Ada")
    Article.objects.create(author=author, category="c", title="t")
    key = connection.resources.keys.schema(Article._meta.db_table)
    put(key, {"version": 2, "steps": [{"version": 2, "change": "retype", "column": "title", "kind": "no kind"}]})
    site.restart()
    for ask in (Article.objects.count, Article.objects.first, lambda: Article.objects.filter(category="c").delete()):
        with pytest.raises(CorruptDocument) as raised:
            ask()
        assert raised.value.key == key
    assert Author.objects.get().name == "Ada"
    with pytest.raises(IntegrityError):
        Author.objects.create(name="Ada")
