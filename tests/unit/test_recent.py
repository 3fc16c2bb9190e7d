"""The bounded cache."""

from __future__ import annotations

import os
import signal

from django_smarterbase.recent import Recent


def made(cache: Recent[str, str], *keys: str) -> list[str]:
    """The keys whose values had to be made."""
    new: list[str] = []
    for key in keys:
        cache.get(key, lambda key=key: new.append(key) or key)  # type: ignore[misc]
    return new


def test_value_is_made_once_while_it_is_asked_for() -> None:
    cache: Recent[str, str] = Recent(2)
    assert made(cache, "a", "a", "b", "a") == ["a", "b"]
    assert cache.values() == ["b", "a"]


def test_value_that_was_made_elsewhere_is_found_until_others_take_its_room() -> None:
    cache: Recent[str, int] = Recent(2)
    assert cache.find("a") is None
    for number, key in enumerate("ab"):
        cache.keep(key, number)
    assert cache.find("a") == 0
    cache.keep("c", 2)
    assert [cache.find(key) for key in "abc"] == [0, None, 2]
    cache.keep("a", 3)
    assert cache.values() == [2, 3]


def test_value_that_was_asked_for_least_recently_makes_room() -> None:
    cache: Recent[str, str] = Recent(2)
    assert made(cache, "a", "b", "a", "c", "a", "b") == ["a", "b", "c", "b"]
    assert len(cache) == 2


def test_value_that_may_not_go_stays_while_another_may() -> None:
    cache: Recent[str, str] = Recent(2, lambda value: value != "a")
    made(cache, "a", "b", "c")
    assert cache.values() == ["a", "c"]


def test_oldest_value_makes_room_when_none_may_go() -> None:
    cache: Recent[str, str] = Recent(2, lambda _value: False)
    made(cache, "a", "b", "c")
    assert cache.values() == ["b", "c"]


def test_discarded_value_is_made_again() -> None:
    cache: Recent[str, str] = Recent(2)
    made(cache, "a", "b")
    cache.discard(lambda key: key == "a")
    assert made(cache, "a", "b") == ["a"]


def test_forked_child_uses_it_though_another_thread_of_its_parent_did_at_that_moment() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.get("a", lambda: 1)
    with recent._lock:
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            os._exit(recent.get("a", lambda: 2))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
