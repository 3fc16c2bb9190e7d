"""Processes that fork after they have used the database: parent and child go on, and share nothing."""

from __future__ import annotations

import pytest

from .conftest import Ground


@pytest.mark.parametrize("ground", ["files", "s3"], indirect=True)
def test_parent_and_children_go_on_when_everything_was_open(ground: Ground) -> None:
    done = ground.run("used")
    assert done.returncode == 0, done.stderr


def test_parent_and_children_go_on_when_multiprocessing_forks(ground: Ground) -> None:
    done = ground.run("pool")
    assert done.returncode == 0, done.stderr


def test_children_go_on_when_other_threads_were_at_work(ground: Ground) -> None:
    done = ground.run("threads")
    assert done.returncode == 0, done.stderr


def test_child_goes_on_when_another_thread_held_every_lock(ground: Ground) -> None:
    done = ground.run("locks")
    assert done.returncode == 0, done.stderr


def test_transaction_stays_the_parents_when_a_child_is_forked_in_it(ground: Ground) -> None:
    done = ground.run("transaction")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 1


@pytest.mark.parametrize("ground", ["files", "s3"], indirect=True)
def test_iterator_stays_the_parents_when_a_child_is_forked_in_it(ground: Ground) -> None:
    done = ground.run("iterator")
    assert done.returncode == 0, done.stderr


def test_child_asks_redis_when_a_probe_was_under_way_in_its_parent(ground: Ground) -> None:
    done = ground.run("probe")
    assert done.returncode == 0, done.stderr


def test_keys_differ_when_parent_and_children_make_them_at_once(ground: Ground) -> None:
    done = ground.run("keys")
    assert done.returncode == 0, done.stderr
