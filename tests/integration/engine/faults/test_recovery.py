"""Transactions that are taken back, by themselves or when they are abandoned: what was before is there again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, models, transaction
from django.db.migrations import AddField, CreateModel
from django.db.migrations.state import ProjectState
from django.db.models import F
from pytest_django import DjangoDbBlocker

from django_smarterbase.backend.document_writes import DocumentWrite
from django_smarterbase.backend.locking import TransactionLocks
from django_smarterbase.backend.recovery import recovery_of
from django_smarterbase.backend.unit_of_work import UnitOfWork
from django_smarterbase.exceptions import ConflictError, StorageUnavailable
from django_smarterbase.storage.base import Write, Written
from django_smarterbase.storage.codec import TRANSACTION
from django_smarterbase.storage.filesystem import FileSystemStore
from testproject.articles.models import Article, Author
from testproject.services import RedisServer
from tests.integration.commands.site import WRITE_DEADLINE, PlainSite, Site, site_in

from .abandoned import abandon, documents, edit, recover
from .ledger import Ledger
from .test_contention import in_thread

TITLES = ("title 1", "title 2", "title 3")
LONGER = 3.0  # seconds of a write deadline within which something is to happen, on a busy machine too


def update_articles_and_rename() -> None:
    Article.objects.filter(title__in=TITLES).update(view_count=F("view_count") + 1000)
    Author.objects.filter(name="author 1").update(name="renamed")


def pass_name_on() -> None:
    """Both authors change, and the second has the first one's name afterwards."""
    Author.objects.filter(name="author 1").update(name="renamed")
    Author.objects.filter(name="author 2").update(name="author 1")


def articles_last(writes: Sequence[DocumentWrite]) -> list[list[DocumentWrite]]:
    """The batches of a transaction of articles and others, the other way round."""
    batches = [[write for write in writes if (write.table == "articles") is articles] for articles in (False, True)]
    return [batch for batch in batches if batch]


def claims(site: Site) -> dict[str, str]:
    """Who holds which name: ``{key of the claim: stem}``."""
    return {key: orjson.loads(body)["stem"] for key, body in site.objects().items() if "/unique/authors/" in key}


def names(site: Site) -> list[str]:
    return sorted(document["name"] for _path, document in documents(site, "authors"))


def test_no_document_is_lost_when_the_store_fails_while_a_transaction_is_taken_back(
    site: Site, filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some are as they were already, and the unit that took them back fails as a whole."""
    before = list(documents(site, "articles"))
    abandon(monkeypatch, update_articles_and_rename)
    edit(site, "authors", name="author 1")
    write_many = FileSystemStore.write_many

    def fail_from_the_second(self: FileSystemStore, writes: Any) -> Iterator[Written]:
        first, *others = list[Write](writes)
        yield from write_many(self, [first])
        yield from (Written(write, None, StorageUnavailable("out of order")) for write in others)

    with monkeypatch.context() as patch:
        patch.setattr(FileSystemStore, "write_many", fail_from_the_second)
        with pytest.raises(StorageUnavailable, match="out of order"):
            recover()
    assert len(list(documents(site, "articles"))) == len(before)
    recover()
    assert list(documents(site, "articles")) == before
    assert recovery_of(connection.resources).unfinished() == []


def test_claims_are_their_former_holders_when_a_transaction_is_taken_back(
    site: Site, filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = claims(site)

    def work() -> None:
        Article.objects.filter(title__in=TITLES).update(view_count=F("view_count") + 1000)
        pass_name_on()

    abandon(monkeypatch, work)
    assert claims(site) != before
    edit(site, "authors", name="author 1")
    recover()
    assert claims(site) == before
    site.restart(cache=None)  # so that only the claim tells who has the name
    with pytest.raises(IntegrityError):
        Author.objects.create(name="author 1")


def test_claim_that_moves_within_a_transaction_is_not_waited_for_when_it_is_completed(
    site: Site, filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.restart(write_deadline=LONGER)
    monkeypatch.setattr("django_smarterbase.backend.unit_of_work._BATCH", 1)
    abandon(monkeypatch, pass_name_on, before="_take_claims")
    recovery = recovery_of(connection.resources)
    recovery._look(connection.catalog.find)
    time.sleep(LONGER * 1.1)
    began = time.monotonic()
    assert recovery._look(connection.catalog.find) == 1
    assert time.monotonic() - began < LONGER
    assert names(site) == ["author 0", "author 1", "author 3", "author 4", "author 5", "renamed"]
    assert set(claims(site).values()) == {path.stem for path, _document in documents(site, "authors")}


def test_schema_object_is_as_it_was_when_a_migration_meets_a_conflict(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its documents tell their version, and the object how each version is read."""
    create = CreateModel("Thing", [("id", models.AutoField(primary_key=True)), ("name", models.CharField())], {})
    add = AddField("Thing", "size", models.IntegerField(default=3))
    states = [ProjectState()]
    for operation in (create, add):
        states.append(states[-1].clone())
        operation.state_forwards("things", states[-1])
    with connection.schema_editor() as editor:
        create.database_forwards("things", editor, states[0], states[1])
    old, new = (state.apps.get_model("things", "Thing") for state in states[1:])
    old.objects.create(name="before")
    before = site.objects()[connection.resources.keys.schema("things_thing")]
    reserve = TransactionLocks.reserve

    def rename_before(self: TransactionLocks, writes: Any) -> None:
        monkeypatch.setattr(TransactionLocks, "reserve", reserve)
        in_thread(lambda: old.objects.update(name="theirs")).join()
        reserve(self, writes)

    def migrate() -> None:
        with connection.schema_editor(atomic=True) as editor:
            add.database_forwards("things", editor, states[1], states[2])
            new.objects.update(size=9)

    monkeypatch.setattr(TransactionLocks, "reserve", rename_before)
    with pytest.raises(ConflictError, match="Nothing was applied"):
        migrate()
    assert site.objects()[connection.resources.keys.schema("things_thing")] == before
    assert [thing.name for thing in old.objects.all()] == ["theirs"]


def test_transaction_that_has_read_what_is_taken_back_later_does_not_build_on_it(
    site: Site, filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has met the document before, and meets it again as the holder of a unique value."""
    User.objects.create(username="ann", first_name="Ann")

    def work() -> None:
        Article.objects.filter(title__in=TITLES).update(view_count=F("view_count") + 1000)
        User.objects.filter(username="ann").update(username="bob", first_name="Bob")

    monkeypatch.setattr("django_smarterbase.backend.unit_of_work._batches", articles_last)
    abandon(monkeypatch, work)
    edit(site, "articles", title="title 1")

    def rename() -> None:
        with transaction.atomic():
            bob = User.objects.get(username="bob")
            with suppress(ZeroDivisionError), transaction.atomic():
                raise ZeroDivisionError
            User.objects.create(username="bob")
            bob.username = "cid"
            bob.save()

    with pytest.raises(ConflictError):
        rename()
    assert list(User.objects.values_list("username", "first_name")) == [("ann", "Ann")]


def test_transaction_that_cannot_be_decided_is_waited_for_once(site: Site, filled: Ledger) -> None:
    """Its intent cannot be read, so that only a person can mend it."""
    resources, author = connection.resources, filled.authors["author 1"]
    key = resources.keys.document("authors", author.pk.hex)
    document = orjson.loads(resources.store.get(key).body)
    resources.store.put(key, orjson.dumps({**document, TRANSACTION: "unreadable"}))
    resources.store.put(resources.keys.intent("unreadable"), b"not JSON")
    began = time.monotonic()
    with pytest.raises(ConflictError, match=r"not been decided for 4 s.*sb_check"):
        Author.objects.create(name="author 1")
    assert time.monotonic() - began < 2 * 4 * WRITE_DEADLINE


def test_unique_value_that_an_undecided_transaction_gives_up_is_not_taken(
    site: Site, filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its document does not hold it for the time being, so that the claim looks like an orphan."""

    def work() -> None:
        Author.objects.filter(name="author 1").update(name="renamed")
        Article.objects.filter(title__in=TITLES).update(view_count=F("view_count") + 1000)

    monkeypatch.setattr("django_smarterbase.backend.unit_of_work._batches", articles_last)
    abandon(monkeypatch, work)
    monkeypatch.undo()
    edit(site, "articles", title="title 1")
    with pytest.raises(IntegrityError):
        Author.objects.create(name="author 1")
    recover()
    assert names(site) == [f"author {number}" for number in range(6)]


@pytest.mark.parametrize("kind", [Site, PlainSite])
def test_transaction_that_takes_long_is_not_abandoned(
    tmp_path: Path,
    server: RedisServer,
    django_db_blocker: DjangoDbBlocker,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Site],
) -> None:
    """Its process renews the intent, which not every store's listing shows."""
    me, write = threading.get_ident(), UnitOfWork._write

    def write_slowly(self: UnitOfWork, *args: Any) -> Any:
        if threading.get_ident() != me:
            time.sleep(LONGER * 0.2)
        return write(self, *args)

    def update() -> None:
        with transaction.atomic():
            Article.objects.update(view_count=F("view_count") + 1)

    monkeypatch.setattr("django_smarterbase.backend.unit_of_work._BATCH", 1)
    monkeypatch.setattr(UnitOfWork, "_write", write_slowly)
    with django_db_blocker.unblock(), site_in(tmp_path, server, kind) as site:
        site.restart(write_deadline=LONGER)
        Ledger().fill(authors=2, articles=8)
        recovery, writer, decided = recovery_of(connection.resources), in_thread(update), 0
        while writer.is_alive():
            decided += recovery._look(connection.catalog.find)
            writer.join(0.1)
        assert decided == 0
        assert recovery.unfinished() == []
        assert sum(Article.objects.values_list("view_count", flat=True)) == sum(n * 7 % 50 + 1 for n in range(8))
