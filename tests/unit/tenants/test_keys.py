"""The keys of tenants: no two tenants share one, whatever they are called, and none shares one with its database."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_smarterbase.exceptions import InvalidTenant
from django_smarterbase.indexes.keys import IndexKeys
from django_smarterbase.storage.keys import Keyspace, is_object_key, is_system_key, tenant_folder


def is_possible(name: str) -> bool:
    """Whether a tenant can be called so."""
    try:
        tenant_folder(name)
    except InvalidTenant:
        return False
    return True


NAMES = (st.text(min_size=1, max_size=30) | st.text("._-!=%/~@:{} aA0\0\\", min_size=1, max_size=12)).filter(
    is_possible
)
TABLES = st.text(max_size=8) | st.sampled_from(["_sb", "_tenants", "t"])
#: None lies within another: a table could have the name of one that does, tenants or not.
DATABASES = st.sampled_from(["shop", "a@b", "_tenants", "eu/_tenants/acme"])


def object_keys(keys: Keyspace, table: str) -> set[str]:
    """Keys of every kind."""
    return {
        keys.document(table, "1"),
        keys.manifest(),
        keys.checks(),
        keys.job(),
        keys.sequence(table),
        keys.schema(table),
        keys.unique(table, "c", "d"),
        keys.intent(table),
        keys.lease(table),
        keys.probe(table),
        keys.packs(table).lease,
        keys.packs(table).list_of_packs(),
        keys.packs(table).pack("p"),
    }


def redis_keys(keys: IndexKeys, table: str) -> set[str]:
    """Keys of every kind, and their patterns up to the asterisk."""
    return {keys.table(table).marker, keys.history.profiles, keys.history.dropped, keys.history.sender("t")}


@given(DATABASES, NAMES, DATABASES, NAMES, TABLES, TABLES)
@example("shop", "acme", "_tenants", "acme", "t", "t")
def test_no_two_tenants_share_a_key(name: str, tenant: str, other_name: str, other: str, table: str, its: str) -> None:
    same = (name, tenant) == (other_name, other)
    ours, theirs = Keyspace(name, tenant), Keyspace(other_name, other)
    assert (ours.prefix() == theirs.prefix()) == same
    assert same or not any(key.startswith(theirs.prefix()) for key in object_keys(ours, table))
    left, right = redis_keys(IndexKeys(name, tenant), table), redis_keys(IndexKeys(other_name, other), its)
    assert same or left.isdisjoint(right)
    patterns = tuple(pattern.removesuffix("*") for pattern in IndexKeys(other_name, other).patterns)
    assert same or not any(key.startswith(patterns) for key in left)
    assert all(
        key.startswith(tuple(each.removesuffix("*") for each in IndexKeys(name, tenant).patterns)) for key in left
    )


@given(DATABASES, NAMES, DATABASES, TABLES, TABLES)
@example("shop", "acme", "shop/_tenants/acme", "t", "t")
@example("shop", "acme", "shop", "t", "_tenants")
@example("a", "b", "a@b", "t", "t")
@example("a", "b", "a.b", "t", "t")
@example("a", "b", "a-b", "t", "t")
@example("a", "b", "a_b", "t", "t")
@example("a", "b", "a~b", "t", "t")
def test_no_tenant_shares_a_key_with_a_database(name: str, tenant: str, database: str, table: str, its: str) -> None:
    keys, tenants = Keyspace(database), Keyspace(name, tenant)
    assert object_keys(keys, its).isdisjoint(object_keys(tenants, table))
    assert not any(key.startswith(keys.table_prefix(its)) for key in object_keys(tenants, table))
    assert not any(key.startswith(keys.schema_prefix()) for key in object_keys(tenants, table))
    assert redis_keys(IndexKeys(database), its).isdisjoint(redis_keys(IndexKeys(name, tenant), table))


@given(NAMES, TABLES)
@example("..", "t")
@example("a/../../b", "t")
@example("_sb", "t")
@example("_TENANTS", "t")
def test_keys_of_a_tenant_stay_in_its_folder_and_name_it(tenant: str, table: str) -> None:
    keys = Keyspace("shop", tenant)
    folder = keys.prefix().removeprefix("shop/_tenants/").removesuffix("/")
    assert "/" not in folder
    assert len(folder) <= 200
    assert Keyspace("shop").tenant_of_folder(folder) == tenant
    for key in object_keys(keys, table):
        assert posixpath.normpath(key) == key
        assert is_object_key(key)
        assert key.startswith(f"shop/_tenants/{folder}/")
    assert not is_system_key(keys.document(table, "1"))
    assert is_system_key(keys.manifest())
    assert Keyspace("shop").is_manifest(keys.manifest())


@pytest.mark.parametrize("folder", ["a b", "_sb", "=e", "=n", "a!b", "%61", "x" * 201, "x" * 128 + "=h" + "0" * 64, ""])
def test_foreign_folder_is_no_tenant(folder: str) -> None:
    assert Keyspace("shop").tenant_of_folder(folder) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "must not be empty"),
        ("x" * 1000, "takes 1000 bytes in a key, and 200 is the limit"),
        ("é" * 34, "takes 204 bytes in a key"),
        ("a\ud800", "half a character"),
    ],
)
def test_impossible_name_is_refused_with_its_limit(name: str, problem: str) -> None:
    with pytest.raises(InvalidTenant, match=problem):
        Keyspace("shop", name)


def test_table_and_part_of_a_name_cannot_enter_the_tenants() -> None:
    assert Keyspace("shop").table_prefix("_tenants") == "shop/%5Ftenants/"
    assert Keyspace("shop/_tenants/acme").prefix() == "shop/%5Ftenants/acme/"
