"""Unique values that a statement moves from one document to another: until both are written they are the former's."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection

from django_smarterbase.backend.claims import ClaimBook, ClaimTaken, DocumentClaim
from django_smarterbase.exceptions import StorageUnavailable
from django_smarterbase.storage.filesystem import FileSystemStore
from tests.integration.commands.site import WRITE_DEADLINE, Site
from tests.integration.engine.moving import names, orphans, pass_name_on

from .abandoned import die_before_writing


@pytest.fixture
def people(site: Site) -> Site:
    """Ann and Bob, in a database whose claims alone tell who has a name."""
    site.restart(cache=None)
    for name in ("ann", "bob"):
        User.objects.create(username=name)
    return site


def see_that_nobody_else_gets_the_name() -> None:
    """Not even when the claim is old enough to be an orphan's."""
    time.sleep(WRITE_DEADLINE * 1.1)
    with pytest.raises(IntegrityError):
        User.objects.create(username="ann")
    assert names() == ["ann", "bob"]


def test_value_stays_with_its_document_when_the_process_dies_that_moves_it(
    people: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_before_writing(monkeypatch, pass_name_on)
    see_that_nobody_else_gets_the_name()


def test_value_stays_with_its_document_when_the_store_does_not_answer_who_moves_it(
    people: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = FileSystemStore.put

    def lose_the_answer(self: FileSystemStore, key: str, *args: Any, **how: Any) -> Any:
        put(self, key, *args, **how)
        if "/unique/" in key and how["if_match"] is not None:
            raise StorageUnavailable("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(FileSystemStore, "put", lose_the_answer)
        with pytest.raises(StorageUnavailable, match="no answer"):
            pass_name_on()
    see_that_nobody_else_gets_the_name()


def test_claim_is_not_taken_by_whom_it_names_while_its_former_holder_has_the_value(
    people: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_before_writing(monkeypatch, pass_name_on)
    schema, ann, bob = connection.table_schema("auth_user"), *User.objects.order_by("pk").values_list("pk", flat=True)
    (held,) = orjson.loads(people.objects()[connection.resources.keys.document("auth_user", str(ann))])["_claims"]
    book = ClaimBook(connection.resources, lambda _table: schema)
    assert book.take_own([DocumentClaim("auth_user", str(bob), held)]) == {DocumentClaim("auth_user", str(bob), held)}
    with pytest.raises(ClaimTaken):
        book.take(DocumentClaim("auth_user", str(bob), held))


def test_value_that_was_to_be_moved_can_be_moved_again(people: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    die_before_writing(monkeypatch, pass_name_on)
    pass_name_on()
    assert names() == ["ann", "eve"]
    with pytest.raises(IntegrityError):
        User.objects.create(username="ann")


def test_value_that_was_to_be_moved_is_free_when_its_document_gives_it_up(
    people: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_before_writing(monkeypatch, pass_name_on)
    User.objects.filter(username="ann").update(username="zoe")
    User.objects.create(username="ann")
    assert names() == ["ann", "bob", "zoe"]


def test_claim_of_a_value_that_was_to_be_moved_is_no_orphan(people: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    die_before_writing(monkeypatch, pass_name_on)
    assert orphans() == 1  # Eve's, whom nobody is
    User.objects.filter(username="ann").update(username="zoe")
    assert orphans() == 2
