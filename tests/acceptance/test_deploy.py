"""A deploy: processes with the old and the new version of one app at work on the same documents."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from testproject.services import RedisServer

HERE = Path(__file__).parent / "deploy"
ROOT = HERE.parents[2]


with_and_without = pytest.mark.parametrize("site", [True, False], ids=["Redis", "no Redis"], indirect=True)


class Process:
    """A process of the site; a method of its worker is called by name."""

    def __init__(self, version: str, folder: Path, redis: str, crash_at: str = "") -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(HERE / version), str(ROOT)]),
            "DEPLOY_FOLDER": str(folder),
            "DEPLOY_REDIS": redis,
            "SMARTERBASE_CRASH_AT": crash_at,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.deploy.worker"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def send(self, name: str, *arguments: Any) -> None:
        """Ask for something."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps([name, *arguments])}\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """What it says to the next thing that it was asked."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the process ended with {self._process.wait()}"
        return json.loads(line)

    def ask(self, name: str, *arguments: Any) -> Any:
        """Ask, and wait for the answer."""
        self.send(name, *arguments)
        return self.answer()

    def end(self) -> int:
        """Let it end; returns its exit status."""
        self._process.communicate(timeout=30)
        return self._process.returncode


class Site:
    """Where the processes are at work."""

    def __init__(self, folder: Path, redis: str) -> None:
        self.folder = folder
        self.redis = redis

    @contextmanager
    def process(self, version: str, crash_at: str = "") -> Iterator[Process]:
        """A process with this version of the app, that kills itself at a step (``steps``)."""
        process = Process(version, self.folder, self.redis, crash_at)
        try:
            yield process
        finally:
            process.end()

    def document(self, pk: int) -> dict[str, Any]:
        """A document without what is the engine's own."""
        raw = json.loads((self.folder / "site" / "shop_item" / f"{pk}.json").read_text())
        return {name: value for name, value in raw.items() if name == "_v" or not name.startswith("_")}


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """A site with three items that the old code has made; without Redis when a test says so."""
    with RedisServer() as server:
        site = Site(tmp_path, server.url if getattr(request, "param", True) else "")
        with site.process("old") as old:
            assert old.ask("command", "migrate")[0] == 0
            for number in (1, 2, 3):
                old.ask("create", {"name": f"item {number}", "code": f"c{number}", "shelf": "a", "size": number})
        yield site


@pytest.fixture
def old(site: Site) -> Iterator[Process]:
    """A process with the old code, which has read the items before the deploy."""
    with site.process("old") as process:
        assert [row["name"] for row in process.ask("rows")] == ["item 1", "item 2", "item 3"]
        yield process


@pytest.fixture
def new(site: Site, old: Process) -> Iterator[Process]:
    """A process with the new code, which has migrated."""
    with site.process("new") as process:
        assert process.ask("command", "migrate")[0] == 0
        yield process


def test_new_code_reads_what_old_code_has_written_and_writes(old: Process, new: Process) -> None:
    old.ask("create", {"name": "item 4", "code": "c4", "shelf": "b", "size": 4, "color": "blue"})
    old.ask("save", 1, {"name": "other"})
    assert [(row["title"], row["size"], row["rating"]) for row in new.ask("rows")] == [
        ("other", "1", 3),
        ("item 2", "2", 3),
        ("item 3", "3", 3),
        ("item 4", "4", 3),
    ]


def test_old_code_reads_what_new_code_has_written_and_writes(old: Process, new: Process) -> None:
    new.ask("create", {"title": "item 4", "code": "c4", "shelf": "b", "size": "4", "rating": 5})
    new.ask("save", 1, {"title": "other"})
    assert [(row["name"], row["size"], row["color"]) for row in old.ask("rows")] == [
        ("other", 1, "red"),
        ("item 2", 2, "red"),
        ("item 3", 3, "red"),
        ("item 4", 4, "red"),
    ]


def test_save_by_old_code_keeps_what_new_code_has_added(site: Site, old: Process, new: Process) -> None:
    new.ask("save", 1, {"rating": 9, "title": "by new"})
    old.ask("save", 1, {"name": "by old", "size": 7})
    (row,) = [row for row in new.ask("rows") if row["id"] == 1]
    assert (row["title"], row["size"], row["rating"]) == ("by old", "7", 9)
    assert [row["name"] for row in old.ask("rows")] == ["by old", "item 2", "item 3"]
    document = site.document(1)
    assert ("name" in document, "color" in document) == (False, False)


def test_field_that_is_removed_is_old_codes_own_until_new_code_saves(site: Site, old: Process, new: Process) -> None:
    old.ask("save", 2, {"color": "blue"})
    assert [row["color"] for row in old.ask("rows")] == ["red", "blue", "red"]
    assert "color" not in new.ask("rows")[1]
    new.ask("save", 2, {"title": "x"})
    assert "color" not in site.document(2)
    assert [row["color"] for row in old.ask("rows")] == ["red", "red", "red"]


@with_and_without
def test_neither_misses_what_the_other_has_written_when_it_filters(old: Process, new: Process) -> None:
    old.ask("create", {"name": "item 4", "code": "c4", "shelf": "b"})
    new.ask("create", {"title": "item 5", "code": "c5", "shelf": "b", "rating": 3})
    new.ask("save", 1, {"rating": 9, "shelf": "b"})
    old.ask("save", 2, {"shelf": "b"})
    assert new.ask("find", {"shelf": "b"})[0] == old.ask("find", {"shelf": "b"})[0] == [1, 2, 4, 5]
    assert new.ask("find", {"rating": 3})[0] == [2, 3, 4, 5]
    assert new.ask("find", {"rating": 9})[0] == [1]
    assert old.ask("find", {"name": "item 5"})[0] == new.ask("find", {"title": "item 5"})[0] == [5]


@with_and_without
def test_unique_value_belongs_to_one_document_whichever_code_has_made_it(old: Process, new: Process) -> None:
    assert new.ask("create", {"title": "x", "code": "c1", "shelf": "a"}) is None
    assert new.ask("create", {"title": "x", "code": "new", "shelf": "a"}) is not None
    assert old.ask("create", {"name": "x", "code": "new", "shelf": "a"}) is None
    assert old.ask("create", {"name": "x", "code": "old", "shelf": "a"}) is not None
    assert new.ask("create", {"title": "x", "code": "old", "shelf": "a"}) is None


def test_no_update_is_lost_between_them(old: Process, new: Process) -> None:
    for process in (old, new):
        process.send("count_up", 1, 40)
    for process in (old, new):
        process.answer()
    assert [row["stock"] for row in old.ask("rows")] == [80, 0, 0]
    assert [row["stock"] for row in new.ask("rows")] == [80, 0, 0]


def test_new_index_is_built_online_and_used_when_it_is_ready(site: Site, old: Process, new: Process) -> None:
    assert new.ask("find", {"rating": 3}) == [[1, 2, 3], "index definitions changed"]
    assert new.ask("command", "sb_reindex", "shop.Item")[0] == 0
    assert new.ask("find", {"rating": 3}) == [[1, 2, 3], "redis:shop_item-by-rating"]
    assert old.ask("find", {"shelf": "a"}) == [[1, 2, 3], "index definitions changed"]
    old.ask("create", {"name": "item 4", "code": "c4", "shelf": "a"})
    keys, how = new.ask("find", {"rating": 3})
    assert (keys, how.startswith("redis:")) == ([1, 2, 3, 4], False)
    old.end()
    assert new.ask("command", "sb_reindex", "shop.Item")[0] == 0
    assert new.ask("find", {"rating": 3}) == [[1, 2, 3, 4], "redis:shop_item-by-rating"]


def test_upcast_after_the_deploy_leaves_one_shape_that_old_code_can_still_read(
    site: Site, old: Process, new: Process
) -> None:
    refused = old.ask("command", "sb_upcast", "shop.Item")
    assert old.ask("create", {"name": "item 4", "code": "c4", "shelf": "a"}) is not None
    assert new.ask("command", "sb_upcast", "shop.Item")[0] == 0
    assert {site.document(pk)["_v"] for pk in (1, 2, 3, 4)} == {5}
    assert {"title", "rating"} <= site.document(4).keys()
    assert [row["name"] for row in old.ask("rows")] == ["item 1", "item 2", "item 3", "item 4"]
    assert refused[0] == 1
    assert "the code of this process knows version 1 of the table 'shop_item'" in refused[1]


STEPS = ("claim-taken:2", "intent-written", "put", "put:3", "intent-removed")


@pytest.mark.parametrize("step", STEPS)
def test_migration_ends_well_the_second_time_when_its_process_was_killed(site: Site, step: str) -> None:
    with site.process("later") as later:
        assert later.ask("command", "migrate", "shop", "0002")[0] == 0
    with site.process("later", crash_at=step) as killed:
        killed.send("command", "migrate")
        assert killed.end() == -signal.SIGKILL
    with site.process("later") as later:
        assert later.ask("command", "migrate")[0] == 0
        assert [(row["title"], row["number"]) for row in later.ask("rows")] == [
            ("item 1", 10),
            ("item 2", 20),
            ("item 3", 30),
        ]
        assert not list((site.folder / "site" / "shop_item").glob("*.json"))
        assert later.ask("create", {"title": "x", "code": "x", "shelf": "a", "number": 20}) is None
        assert later.ask("create", {"title": "x", "code": "c1", "shelf": "a", "number": 21}) is None
        assert later.ask("create", {"title": "x", "code": "x", "shelf": "a", "number": 21}) is not None
        assert later.ask("command", "sb_reindex")[0] == 0
        status, report = later.ask("command", "sb_check")
        assert status == 0, report
