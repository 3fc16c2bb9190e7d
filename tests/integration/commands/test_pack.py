"""``sb_reindex --pack``: what it packs, says and returns."""

from __future__ import annotations

import io
import json
import re
from dataclasses import asdict, replace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from django_smarterbase.indexes.lease import Lease
from django_smarterbase.management import reindex
from django_smarterbase.packs import packing
from django_smarterbase.packs.packing import PackReport, Progress
from testproject.articles.models import Author
from tests.integration.commands.site import PlainSite, Site, site_in

AUTHORS = Author._meta.db_table
PATIENCE = 20.0  # seconds


def run(*labels: str, **options: Any) -> tuple[str, str, int]:
    """What the command writes to both streams, and its status."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    try:
        call_command("sb_reindex", *labels, stdout=out, stderr=err, no_color=True, **options)
    except CommandError as error:
        status = error.returncode
        err.write(str(error))
    return out.getvalue(), err.getvalue(), status


@pytest.fixture
def filled(site: Site) -> Site:
    """A site with three authors."""
    for name in ("Ada", "Grace", "Barbara"):
        Author.objects.create(name=name)
    return site


def test_tables_are_rebuilt_and_packed(filled: Site) -> None:
    out, err, status = run("articles", pack=True)
    assert (err, status) == ("", 0)
    line = next(line for line in out.splitlines() if line.startswith("articles.Author:"))
    assert "3 documents indexed in " in line
    assert "3 documents in 1 pack in " in line
    assert re.search(r" s \(\d{3} bytes in \d{3} bytes, 3 read\)\.$", line)
    assert next(line for line in out.splitlines() if line.startswith("articles.Article:")).endswith(
        " There are no documents to pack."
    )
    assert connection.resources.store.packs(AUTHORS).documents == 3


def test_tables_are_not_packed_unless_it_is_asked_for(filled: Site) -> None:
    out, _err, status = run("articles")
    assert status == 0
    assert "pack" not in out
    assert not list(connection.resources.store.list(connection.resources.keys.packs(AUTHORS).prefix))


def test_tables_without_an_index_are_packed(filled: Site) -> None:
    filled.restart(cache=None)
    out, err, status = run("articles.Author", pack=True)
    assert (err, status) == ("", 0)
    assert out.startswith("articles.Author: 3 documents in 1 pack in ")


def test_tables_without_an_index_would_be_packed(filled: Site) -> None:
    filled.restart(cache=None)
    dry = run("articles.Author", pack=True, dry_run=True)
    assert dry == ("articles.Author: Its documents would be packed.\n", "", 0)


def test_tables_are_packed_while_redis_is_down_which_is_still_a_failure(filled: Site) -> None:
    filled.server.stop()
    out, err, status = run("articles.Author", pack=True)
    assert (out, status) == ("", 1)
    assert "articles.Author: failed. The index of articles.Author was not rebuilt" in err
    assert "3 documents in 1 pack in " in err
    assert err.endswith("1 of 1 table was not rebuilt. The reasons stand above.")


def test_json_tells_the_figures_of_the_packs(filled: Site) -> None:
    out, _err, status = run("articles.Author", pack=True, json=True)
    (table,) = json.loads(out)["tables"]
    report = PackReport(**table["packing"])
    assert status == 0
    assert (report.packs, report.documents, report.read, report.left_out) == (1, 3, 3, 0)
    assert report.packed_bytes < report.raw_bytes
    assert table["packing"] == asdict(report)
    assert (table["outcome"], table["packing_error"]) == ("rebuilt", None)


def test_dry_run_says_what_would_be_packed_and_packs_nothing(filled: Site) -> None:
    out, _err, status = run("articles", pack=True, dry_run=True)
    assert status == 0
    assert all(line.endswith(" Its documents would be packed.") for line in out.splitlines())
    assert not list(connection.resources.store.list(connection.resources.keys.packs(AUTHORS).prefix))


def test_table_that_another_process_packs_is_named(filled: Site, monkeypatch) -> None:
    monkeypatch.setattr(packing, "LEASE", 0.2)
    lease = Lease(connection.resources.store, connection.resources.keys.packs(AUTHORS).lease, 30)
    assert lease.acquire()
    out, err, status = run("articles.Author", pack=True)
    assert (out, status) == ("", 1)
    assert "3 documents indexed in " in err
    assert "Not packed. The documents under " in err
    assert err.endswith("1 of 1 table was not packed. The reasons stand above.")


def test_storage_whose_listings_tell_no_etags_is_named(tmp_path, server, django_db_blocker) -> None:
    with django_db_blocker.unblock(), site_in(tmp_path, server, PlainSite):
        Author.objects.create(name="Ada")
        _out, err, status = run("articles.Author", pack=True)
    assert status == 1
    assert "Not packed. The documents were not packed: listings of this storage tell no ETags" in err


def test_index_that_was_built_stays_when_the_packing_is_interrupted(filled: Site) -> None:
    (task,) = [each for each in reindex.survey(["default"], None, pack=True).tasks if each.schema.table == AUTHORS]
    pack = task.pack
    assert pack is not None

    def pack_slowly(progress: Progress) -> PackReport:
        progress(0)
        assert reindexer._stop.wait(PATIENCE)
        return pack(progress)

    def interrupt() -> None:
        if reindexer.works[0].packed is not None:
            raise KeyboardInterrupt

    reindexer, results = reindex.Reindexer([replace(task, pack=pack_slowly)], full=False), list[reindex.Result]()
    with pytest.raises(KeyboardInterrupt):
        reindexer.run(results.append, interrupt)
    (result,) = results
    assert (result.outcome, result.packing, result.packing_error) == (reindex.Outcome.REBUILT, None, "Interrupted.")
    assert filled.state(Author).trusted
    assert not list(connection.resources.store.list(connection.resources.keys.packs(AUTHORS).prefix))
