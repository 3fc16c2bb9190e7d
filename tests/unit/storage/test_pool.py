"""The worker pool: order, bounds, errors and the counting of requests made in threads."""

from __future__ import annotations

import threading
import time

import pytest

from django_smarterbase.ops import StorageOps, counting
from django_smarterbase.storage.counters import count_delete, count_list, count_read, count_write
from django_smarterbase.storage.pool import WorkerPool

PATIENCE = 20.0  # seconds


def test_map_keeps_the_order_when_later_calls_end_first():
    def slow_first(number: int) -> int:
        time.sleep(0.02 if number == 0 else 0)
        return number

    assert list(WorkerPool(4).map(slow_first, range(20))) == list(range(20))


def test_map_runs_calls_side_by_side_up_to_its_size():
    running, most, company = set[int](), [], threading.Condition()

    def call(number: int) -> None:
        with company:
            running.add(number)
            most.append(len(running))
            company.notify_all()
            company.wait_for(lambda: max(most) >= 3, PATIENCE)
        time.sleep(0.005)  # for a fourth one to come
        with company:
            running.remove(number)

    list(WorkerPool(3).map(call, range(20)))
    assert max(most) == 3


def test_map_takes_a_bounded_number_of_items_ahead():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    results = WorkerPool(2).map(lambda number: number, items())
    assert next(results) == 0
    assert len(taken) <= 2 * 2 + 1
    results.close()


def test_map_uses_no_thread_for_a_single_item():
    assert list(WorkerPool(4).map(lambda _: threading.get_ident(), [1])) == [threading.get_ident()]


def test_map_raises_an_error_where_its_result_would_stand():
    def call(number: int) -> int:
        if number == 2:
            raise KeyError(number)
        return number

    results = WorkerPool(4).map(call, range(5))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(KeyError):
        next(results)


def test_map_counts_requests_of_its_threads_in_the_calling_thread():
    def call(number: int) -> None:
        count_read("db/t/1.json", 10)
        if number == 3:
            raise KeyError(number)

    with counting() as ops, pytest.raises(KeyError):
        list(WorkerPool(1 + 3).map(call, range(4)))
    assert ops.storage == StorageOps(reads=4, bytes_read=40)


def test_counters_keep_system_objects_apart():
    with counting() as ops:
        for key in ("db/t/1.json", "db/_sb/manifest.json"):
            count_read(key, 1)
            count_write(key, 2)
            count_delete(key)
            count_list(key)
    assert ops.storage == StorageOps(1, 1, 1, 1, 4, 1, 2)
