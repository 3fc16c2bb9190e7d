"""A profile as text, as JSON and as money."""

import datetime
import json

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_smarterbase.indexes.answers import FallbackReason
from django_smarterbase.ops import RedisOps, StorageOps
from django_smarterbase.profiling import QueryProfile
from django_smarterbase.profiling.fields import flat_fields
from django_smarterbase.profiling.prices import Prices, prices
from django_smarterbase.profiling.profile import FULL_SCAN, redis_index


def test_render_shows_the_block_of_an_indexed_query(make_profile):
    profile = make_profile(storage_ops=StorageOps(reads=3), result_count=3, duration=1.234)

    assert profile.render() == (
        "   • ListAuthorArticles: O(1)\n"
        "     - Index: redis:articles-by-author\n"
        "     - Storage ops: 3\n"
        "     - Results: 3\n"
        "     - Duration: 1.2 ms"
    )


def test_render_marks_fallback_and_names_its_reason_and_system_requests(make_profile):
    profile = make_profile(
        complexity="O(n)",
        index_used=FULL_SCAN,
        storage_ops=StorageOps(reads=4, lists=1, system=2),
        result_count=3,
        skipped_documents=1,
        fallback=True,
        fallback_reason="Redis unreachable",
        error="CorruptDocument",
    )

    assert profile.render(indent=0) == (
        "• ListAuthorArticles: O(n) [FALLBACK]\n"
        "  - Index: none:full-scan\n"
        "  - Storage ops: 5\n"
        "  - System ops: 2\n"
        "  - Results: 3\n"
        "  - Skipped documents: 1\n"
        "  - Fallback: Redis unreachable\n"
        "  - Error: CorruptDocument\n"
        "  - Duration: 1.2 ms"
    )


def test_render_says_unknown_when_results_were_not_counted(make_profile):
    assert "     - Results: unknown\n" in make_profile(result_count=None).render()


def test_as_dict_survives_json_and_holds_every_fact(make_profile):
    profile = make_profile(
        filter_fields=("author", "status"),
        storage_ops=StorageOps(reads=2, bytes_read=2048),
        redis_ops=RedisOps(commands=1, round_trips=1),
        candidates=2,
        result_count=1,
    )

    assert json.loads(json.dumps(profile.as_dict())) == {
        "method": "ListAuthorArticles",
        "model": "articles.Article",
        "database": "default",
        "operation": "select",
        "complexity": "O(1)",
        "index_used": "redis:articles-by-author",
        "started_at": "2025-03-01T12:30:00.000250+00:00",
        "duration": 1.234,
        "filter_fields": ["author", "status"],
        "storage_ops": {
            "reads": 2,
            "writes": 0,
            "deletes": 0,
            "lists": 0,
            "system": 0,
            "bytes_read": 2048,
            "bytes_written": 0,
            "packs": 0,
            "packed": 0,
            "pack_failures": 0,
            "cache_hits": 0,
            "cache_misses": 0,
            "cache_failures": 0,
            "bytes_saved": 0,
        },
        "redis_ops": {"commands": 1, "round_trips": 1},
        "candidates": 2,
        "result_count": 1,
        "skipped_documents": 0,
        "fallback": False,
        "fallback_reason": None,
        "error": None,
        "plan": [],
        "fingerprint": "",
        "filter_values": None,
        "tenant": None,
        "bytes_read": 2048,
        "full_scan": False,
        "cost_usd": pytest.approx(0.0000008),
    }


def test_flat_fields_are_of_simple_types_and_hold_every_fact(make_profile):
    profile = make_profile(
        filter_fields=("author", "status"),
        storage_ops=StorageOps(
            reads=1,
            writes=2,
            deletes=3,
            lists=4,
            system=5,
            bytes_read=2048,
            bytes_written=1024,
            packs=11,
            packed=12,
            pack_failures=13,
            cache_hits=14,
            cache_misses=15,
            cache_failures=16,
            bytes_saved=17,
        ),
        redis_ops=RedisOps(commands=6, round_trips=7),
        candidates=8,
        result_count=9,
        skipped_documents=10,
        fallback=True,
        fallback_reason=FallbackReason.UNREACHABLE,
        duration=1.23456,
        error="CorruptDocument",
        tenant="acme",
    )

    assert flat_fields(profile) == {
        "database": "default",
        "tenant": "acme",
        "model": "articles.Article",
        "method": "ListAuthorArticles",
        "operation": "select",
        "complexity": "O(1)",
        "index_used": "redis:articles-by-author",
        "filter_fields": "author,status",
        "started_at": "2025-03-01T12:30:00.000250+00:00",
        "duration_ms": 1.235,
        "candidates": 8,
        "result_count": 9,
        "skipped_documents": 10,
        "fallback": True,
        "fallback_reason": "Redis unreachable",
        "storage_reads": 1,
        "storage_writes": 2,
        "storage_deletes": 3,
        "storage_lists": 4,
        "storage_system": 5,
        "bytes_read": 2048,
        "bytes_written": 1024,
        "storage_packs": 11,
        "documents_packed": 12,
        "pack_failures": 13,
        "cache_hits": 14,
        "cache_misses": 15,
        "cache_failures": 16,
        "bytes_saved": 17,
        "redis_commands": 6,
        "redis_round_trips": 7,
        "error": "CorruptDocument",
    }
    assert {type(value) for value in flat_fields(profile).values()} <= {str, int, float, bool}


def test_profile_shows_what_packs_and_the_document_cache_did(make_profile):
    ops = StorageOps(reads=3, packs=2, packed=40, pack_failures=1, cache_hits=5, cache_misses=1, bytes_saved=900)

    lines = [line.strip() for line in make_profile(storage_ops=ops).render().splitlines()]

    assert lines[3:6] == [
        "- Documents from packs: 40",
        "- Unusable packs: 1",
        "- Documents from the cache: 5 of 6, 900 bytes",
    ]
    assert len(make_profile(storage_ops=StorageOps(reads=3)).render().splitlines()) == len(lines) - 3


def test_redis_index_names_the_index_behind_its_origin():
    assert redis_index("articles-by-author") == "redis:articles-by-author"


def test_cost_follows_the_list_prices_of_s3(make_profile):
    ops = StorageOps(reads=1000, writes=1000, lists=1000, deletes=1000)

    assert make_profile(storage_ops=ops).cost_usd == pytest.approx(0.0004 + 0.005 + 0.005 + 0.0)


def test_cost_takes_system_requests_for_writes(make_profile):
    assert make_profile(storage_ops=StorageOps(system=1000)).cost_usd == pytest.approx(0.005)


def test_cost_follows_the_setting_at_each_access(make_profile, settings):
    profile = make_profile(storage_ops=StorageOps(reads=1000, writes=1000))
    settings.SMARTERBASE_PRICES = {"read": 1}
    assert profile.cost_usd == pytest.approx(1.005)

    settings.SMARTERBASE_PRICES = {"read": 2.5, "write": 0}
    assert profile.cost_usd == pytest.approx(2.5)


def test_prices_are_the_defaults_when_nothing_is_set(settings):
    settings.SMARTERBASE_PRICES = None

    assert prices() == Prices(read=0.0004, write=0.005, list=0.005, delete=0.0)


def test_prices_refuse_an_unknown_kind_of_request(settings):
    settings.SMARTERBASE_PRICES = {"get": 1}

    with pytest.raises(ImproperlyConfigured, match=r"no price for 'get'.*read, write, list, delete"):
        prices()


@pytest.mark.parametrize("price", [-0.1, "0.1", True, None])
def test_prices_refuse_what_is_no_amount(settings, price):
    settings.SMARTERBASE_PRICES = {"write": price}

    with pytest.raises(ImproperlyConfigured, match=r"SMARTERBASE_PRICES\['write'\]"):
        prices()


def test_from_dict_reads_back_what_as_dict_gives(make_profile):
    profile = make_profile(
        filter_fields=("author", "status"),
        storage_ops=StorageOps(reads=2, bytes_read=2048),
        redis_ops=RedisOps(commands=1, round_trips=1),
        candidates=2,
        result_count=0,
        skipped_documents=1,
        fallback=True,
        fallback_reason="Redis unreachable",
        error="CorruptDocument",
        plan=("articles: Scan of every document, O(n)",),
        fingerprint="00ff",
        filter_values=("author='Ada'",),
    )

    read = QueryProfile.from_dict(json.loads(json.dumps(profile.as_dict())))

    assert read == profile
    assert read.started_at.utcoffset() == datetime.timedelta(0)


def test_from_dict_ignores_names_of_later_versions_and_supplies_what_earlier_ones_did_not_have(make_profile):
    facts = make_profile().as_dict()
    for name in ("plan", "fingerprint", "filter_values", "storage_ops", "redis_ops", "error"):
        del facts[name]
    facts["retries"] = 3
    facts["redis_ops"] = {"commands": 2, "bytes": 80}

    assert QueryProfile.from_dict(facts) == make_profile(redis_ops=RedisOps(commands=2))


def test_from_dict_tells_hidden_values_from_none_at_all(make_profile):
    shown = make_profile(filter_values=())

    assert QueryProfile.from_dict(shown.as_dict()).filter_values == ()
    assert QueryProfile.from_dict(make_profile().as_dict()).filter_values is None


@pytest.mark.parametrize("facts", [{}, {"method": "List"}, {"started_at": "yesterday"}])
def test_from_dict_refuses_what_is_no_profile(facts):
    with pytest.raises((KeyError, TypeError, ValueError)):
        QueryProfile.from_dict(facts)
