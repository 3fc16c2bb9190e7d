"""A profile in the stream: small, and read by other versions too."""

import orjson
import pytest

from django_smarterbase.history.codec import decode, encode
from django_smarterbase.history.ring import Kept
from django_smarterbase.indexes.answers import FallbackReason
from django_smarterbase.ops import RedisOps, StorageOps


def test_profile_comes_back_as_it_was(make_profile):
    profile = make_profile(
        filter_fields=("author",),
        storage_ops=StorageOps(reads=2, bytes_read=2048),
        redis_ops=RedisOps(commands=1, round_trips=1),
        candidates=2,
        result_count=0,
        fallback=True,
        fallback_reason=FallbackReason.UNREACHABLE,
        plan=("articles: Scan of every document, O(n)",),
        fingerprint="00ff",
        filter_values=(),
    )

    assert decode(encode(Kept(profile, 10.0)).decode()) == Kept(profile, 10.0)


def test_profile_is_written_without_what_is_as_by_default_or_can_be_derived(make_profile):
    assert orjson.loads(encode(Kept(make_profile(candidates=2), 1.0))) == {
        "method": "ListAuthorArticles",
        "model": "articles.Article",
        "database": "default",
        "operation": "select",
        "complexity": "O(1)",
        "index_used": "redis:articles-by-author",
        "started_at": "2025-03-01T12:30:00.000250+00:00",
        "duration": 1.234,
        "candidates": 2,
        "weight": 1.0,
    }


def test_profile_of_a_later_version_is_read(make_profile):
    facts = {**orjson.loads(encode(Kept(make_profile(), 2.0))), "shard": 7}

    assert decode(orjson.dumps(facts).decode()) == Kept(make_profile(), 2.0)


def test_profile_that_json_cannot_hold_becomes_nothing(make_profile):
    text = encode(Kept(make_profile(method="\ud800"), 1.0))

    assert text == b"null"
    assert decode(text.decode()) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '"text"', "7", '{"method": "List"}', '{"weight": "heavy"}'])
def test_text_that_is_no_profile_is_read_as_nothing(text):
    assert decode(text) is None
