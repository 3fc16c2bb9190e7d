"""Documents in the form of their table that cannot be rows of it: the index says no more of them than SQLite."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import connection

from django_smarterbase.exceptions import CorruptDocument
from django_smarterbase.managers import SmarterBaseQuerySet
from django_smarterbase.profiling import profile_queries
from tests.integration.commands.site import Site

UNSOUND = {
    "a null as the primary key": ("=n", {"id": None, "name": "x"}),
    "a text that SQLite takes for the number of another key": ("01", {"id": {"$text": "01"}, "name": "x"}),
    "a text in place of the number of a row": ("abc", {"id": {"$text": "abc"}, "name": "x"}),
    "a fraction in place of the number of a row": ("1.5", {"id": {"$real": "1.5"}, "name": "x"}),
    "another primary key than the object's key has": ("9", {"id": 10, "name": "x"}),
    "a null where none may be": ("9", {"id": 9, "name": None}),
}


def put(stem: str, document: dict[str, Any]) -> str:
    """Write a group past the engine; returns its key."""
    key: str = connection.resources.keys.document(Group._meta.db_table, stem)
    connection.resources.store.put(key, orjson.dumps(document))
    return key


def rebuild() -> int:
    """Build the index of the groups anew; returns how many documents are in it."""
    return connection.resources.indexes.rebuild(connection.schema_of_model(Group), full=True).documents


@pytest.mark.parametrize("what", UNSOUND)
def test_index_has_no_document_that_a_query_refuses(site: Site, what: str) -> None:
    Group.objects.create(id=1, name="sound")
    key = put(*UNSOUND[what])
    with pytest.raises(CorruptDocument) as raised:
        rebuild()
    assert raised.value.key == key
    with pytest.raises(CorruptDocument) as raised:
        list(SmarterBaseQuerySet(Group).scan())
    assert raised.value.key == key

    site.restart(on_corrupt="skip")
    assert rebuild() == 1
    with profile_queries() as queries:
        assert Group.objects.count() == 1
        assert list(Group.objects.values_list("pk", flat=True)) == [1]
        assert [group.pk for group in Group.objects.filter(name="sound")] == [1]
    assert not queries.full_scans()
    with profile_queries() as queries:
        assert [group.pk for group in SmarterBaseQuerySet(Group).scan()] == [1]
    assert queries.profiles[0].skipped_documents == 1


@pytest.mark.parametrize("what", UNSOUND)
def test_check_names_a_document_that_a_query_refuses(site: Site, what: str) -> None:
    Group.objects.create(id=1, name="sound")
    key = put(*UNSOUND[what])
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("sb_check", "auth.Group", json=True, stdout=out, stderr=StringIO())
    (table,) = [table for table in json.loads(out.getvalue())["tables"] if table["model"] == "auth.Group"]
    assert table["found"]["corrupt"] == [key]


def test_rebuild_does_not_take_an_unsound_document_from_an_earlier_index(site: Site) -> None:
    Group.objects.create(id=1, name="sound")
    Group.objects.create(id=9, name="to be damaged")
    put("9", {"id": 10, "name": "to be damaged"})
    site.restart(on_corrupt="skip")
    schema = connection.schema_of_model(Group)
    assert connection.resources.indexes.rebuild(schema).documents == 1
    assert Group.objects.count() == 1
    assert not Group.objects.filter(name="to be damaged").exists()
