"""``sb_check --watch`` in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.db import connection

import testproject
from testproject.articles.models import Author
from tests.integration.commands.site import Site
from tests.serving import REDIS_TIMEOUT

MANAGE = Path(testproject.__file__).parent / "manage.py"


class Watch:
    """A running watch, and its rounds as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def round(self) -> dict[str, Any]:
        """The next round."""
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        return json.loads(line)

    def table(self) -> dict[str, Any]:
        """The only table of the next round."""
        (table,) = self.round()["tables"]
        return table


@contextmanager
def watching(site: Site, *arguments: str) -> Iterator[Watch]:
    """A watch of the authors, twice a second."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SMARTERBASE_", "DJANGO_"))},
        "REDIS_URL": site.server.url,
        "SMARTERBASE_NAME": site.name,
        "SMARTERBASE_OBJECTS": str(site.folder),
        "SMARTERBASE_WRITE_DEADLINE": "1",
        "SMARTERBASE_TRUST_SECONDS": "0.15",
        "SMARTERBASE_AUTO_REINDEX": "0",
        "SMARTERBASE_REDIS_TIMEOUT": REDIS_TIMEOUT,
    }
    command = [sys.executable, str(MANAGE), "sb_check", "articles.Author", "--watch", "0.5", "--json", *arguments]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Watch(process)
        finally:
            process.kill()


def change_by_hand(author: Author, name: str) -> None:
    """Change a document as somebody with an editor would."""
    resources = connection.resources
    (key,) = (key for key in site_keys() if author.pk.hex in key.replace("-", ""))
    document = orjson.loads(resources.store.get(key).body)
    resources.store.put(key, orjson.dumps({**document, "name": name}))


def site_keys() -> list[str]:
    """The keys of all authors."""
    resources = connection.resources
    return [listed.key for listed in resources.store.list(resources.keys.table_prefix("authors"))]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watch_mends_above_the_threshold_and_ends_when_it_is_told(site: Site, number: signal.Signals) -> None:
    authors = [Author.objects.create(name=name) for name in "abcd"]
    with watching(site) as watch:
        assert (watch.round()["round"], watch.round()["sound"]) == (1, True)
        change_by_hand(authors[0], "z")
        tables, mended = [watch.table()], Counter[str]()
        while not (mended["amended"] and mended["claims"]):  # a change in the midst of a round is mended in two
            mended.update(tables[-1]["repaired"])
            tables.append(watch.table())
        assert (mended["amended"], mended["claims"]) == (1, 1)  # the claim is to the name of before
        assert (tables[-1]["left"]["drift_percent"], tables[-1]["sound"]) == (0, True)
        watch.process.send_signal(number)
        _, err = watch.process.communicate(timeout=60)
        assert (watch.process.returncode, err) == (0, "")
    assert {author.pk for author in Author.objects.filter(name="z")} == {authors[0].pk}


def test_watch_leaves_what_is_below_the_threshold(site: Site) -> None:
    authors = [Author.objects.create(name=name) for name in "abcd"]
    change_by_hand(authors[0], "z")
    with watching(site, "--threshold", "60") as watch:
        for _ in range(2):
            table = watch.table()
            assert (table["found"]["drift_percent"] > 20, table["sound"]) == (True, False)
            assert not any(table["repaired"].values())


def test_watch_survives_an_outage_of_redis(site: Site) -> None:
    Author.objects.create(name="a")
    with watching(site) as watch:
        assert watch.round()["sound"]
        site.server.stop()
        while watch.round()["sound"]:
            pass
        site.server.start()
        while not (table := watch.table())["repaired"]["rebuilt"]:
            assert table["error"]
        assert table["sound"]
