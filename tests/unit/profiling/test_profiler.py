"""``profile_queries()``: which statements a block sees, and what it makes of them."""

import asyncio
import contextlib
import contextvars
import logging
import threading

import pytest
from asgiref.sync import sync_to_async

from django_smarterbase.profiling import profile_queries, recorder


def methods(block):
    return [profile.method for profile in block.profiles]


@pytest.fixture
def query(make_profile):
    """Stands for a statement: records a profile of the method that it is called with."""
    return lambda method, **facts: recorder.record(make_profile(method=method, **facts))


def test_block_holds_its_statements_in_order_and_none_from_outside(query):
    query("before")
    with profile_queries() as block:
        query("first")
        query("second")
    query("after")

    assert methods(block) == ["first", "second"]


def test_outer_block_sees_the_statements_of_the_inner_one_but_not_the_reverse(query):
    with profile_queries() as outer:
        query("outer")
        with profile_queries() as inner:
            query("inner")
        query("outer again")

    assert methods(inner) == ["inner"]
    assert methods(outer) == ["outer", "inner", "outer again"]


def test_block_is_closed_when_its_body_fails(query):
    block = profile_queries()
    with contextlib.suppress(ValueError), block:
        query("inside")
        raise ValueError("body")
    query("after")

    assert methods(block) == ["inside"]


def test_block_starts_empty_when_used_again(query):
    block = profile_queries()
    with block:
        query("first")
    with block:
        query("second")

    assert methods(block) == ["second"]


def test_block_refuses_to_be_opened_while_it_is_open():
    block = profile_queries()
    with block, pytest.raises(RuntimeError, match="open already"):
        block.__enter__()


def test_block_picks_slow_fallbacks_and_full_scans(query):
    with profile_queries() as block:
        query("fast", duration=99.9)
        query("slow", duration=100.0)
        query("scan", complexity="O(n)")
        query("fallback", complexity="O(n)", fallback=True)

    assert [profile.method for profile in block.slow()] == ["slow"]
    assert [profile.method for profile in block.slow(99.9)] == ["fast", "slow"]
    assert [profile.method for profile in block.full_scans()] == ["scan", "fallback"]
    assert [profile.method for profile in block.fallbacks()] == ["fallback"]
    assert block.summary(slow_ms=99.0).slow == 2


def test_block_of_one_thread_sees_nothing_of_another(query):
    barrier = threading.Barrier(2, timeout=30)
    found = {}

    def work(name):
        with profile_queries() as block:
            barrier.wait()
            query(name)
            barrier.wait()
        found[name] = methods(block)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert found == {"one": ["one"], "two": ["two"]}


def test_block_does_not_see_a_thread_started_inside(query):
    with profile_queries() as block:
        thread = threading.Thread(target=query, args=("thread",))
        thread.start()
        thread.join(30)

    assert methods(block) == []


def test_block_sees_sync_to_async_and_tasks_of_its_own_but_not_of_others(query):
    async def work(name):
        with profile_queries() as block:
            await sync_to_async(query)(f"{name}: thread")
            await asyncio.create_task(asyncio.to_thread(query, f"{name}: task"))
        return methods(block)

    async def both():
        return await asyncio.gather(work("one"), work("two"))

    assert asyncio.run(both()) == [["one: thread", "one: task"], ["two: thread", "two: task"]]


def test_block_sees_nothing_of_a_task_that_outlives_it(query):
    with profile_queries() as block:
        context = contextvars.copy_context()
        context.run(query, "inside")
    context.run(query, "late")

    assert methods(block) == ["inside"]


def test_decorator_reports_a_block_of_its_own_for_each_call(query):
    reports = []

    @profile_queries(lambda block: reports.append(methods(block)))
    def fetch(name):
        query(name)
        return name.upper()

    assert [fetch("a"), fetch("b")] == ["A", "B"]
    assert reports == [["a"], ["b"]]
    assert fetch.__name__ == "fetch"


def test_decorator_object_holds_the_profiles_of_the_latest_call(query):
    profiler = profile_queries()
    fetch = profiler(query)

    fetch("a")
    fetch("b")

    assert methods(profiler) == ["b"]


def test_decorator_reports_when_the_function_fails(query):
    reports = []

    @profile_queries(lambda block: reports.append(methods(block)))
    def fail():
        query("inside")
        raise ValueError("body")

    with pytest.raises(ValueError, match="body"):
        fail()
    assert reports == [["inside"]]


def test_decorator_keeps_recursive_calls_apart(query):
    reports = []

    @profile_queries(lambda block: reports.append(methods(block)))
    def descend(depth):
        query(str(depth))
        if depth:
            descend(depth - 1)

    descend(1)

    assert reports == [["0"], ["1", "0"]]


def test_decorator_keeps_concurrent_coroutines_apart(query):
    reports = []

    @profile_queries(lambda block: reports.append(methods(block)))
    async def fetch(name):
        query(f"{name}1")
        await asyncio.sleep(0)
        query(f"{name}2")
        return name

    async def both():
        return await asyncio.gather(fetch("a"), fetch("b"))

    assert asyncio.run(both()) == ["a", "b"]
    assert sorted(reports) == [["a1", "a2"], ["b1", "b2"]]


def test_decorator_logs_a_summary_when_no_report_is_given(query, caplog):
    @profile_queries()
    def fetch():
        query("ListAuthorArticles")

    with caplog.at_level(logging.INFO, "django_smarterbase.query"):
        fetch()

    assert "fetch(): Queries: 1 " in caplog.text


def test_decorator_refuses_generator_functions():
    def rows():
        yield 1

    async def rows_later():
        yield 1

    with pytest.raises(TypeError, match=r"generator function .*rows\(\)"):
        profile_queries()(rows)
    with pytest.raises(TypeError, match=r"generator function .*rows_later\(\)"):
        profile_queries()(rows_later)
