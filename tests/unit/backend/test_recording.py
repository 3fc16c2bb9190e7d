"""What a statement came to is added up over the blocks in which it goes on."""

from __future__ import annotations

import pytest

from django_smarterbase.backend.recording import Run
from django_smarterbase.ops import counting, storage_ops


def test_run_adds_up_the_requests_and_the_time_of_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((1.0, 1.25, 5.0, 5.5))
    monkeypatch.setattr("django_smarterbase.backend.recording.time.perf_counter", lambda: next(clock))
    run = Run("default", "select", "articles.Article")
    for reads in (1, 2):
        with run as ops:
            storage_ops().reads += reads
            assert ops is run.ops
        storage_ops().reads += 10  # between the blocks it is nobody's
    assert (run.ops.storage.reads, run.duration, run.error) == (3, 750.0, None)


def test_run_is_counted_apart_from_what_goes_on_around_it() -> None:
    run = Run("default", "select", None)
    with counting() as around:
        with run:
            storage_ops().reads += 1
        storage_ops().writes += 1
    assert (around.storage.reads, around.storage.writes, run.ops.storage.reads) == (0, 1, 1)


def test_run_names_what_ended_it_and_ends_its_count() -> None:
    run = Run("default", "select", None)
    with counting() as around:
        with pytest.raises(ZeroDivisionError), run:
            raise ZeroDivisionError
        storage_ops().reads += 1
    assert (run.error, run.ops.storage.reads, around.storage.reads) == ("ZeroDivisionError", 0, 1)
