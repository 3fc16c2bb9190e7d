"""``sb_reindex`` as it is called: what it does, says, prints and returns."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.core.management.base import CommandParser
from django.db import connection
from pytest_django import Settings

from django_smarterbase.indexes import breaker
from django_smarterbase.indexes.rebuild import Rebuild, Rebuilder
from django_smarterbase.management import reindex
from django_smarterbase.management.commands.sb_reindex import Command
from django_smarterbase.profiling import profile_queries
from testproject.articles.models import Article, Author
from tests.integration.commands.site import ALIAS, WRITE_DEADLINE, Site

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ANSI_COLOR = re.compile(r"\x1b\[[0-9;]*m")
#: Nobody misses a wait of so many seconds, and it is much beside what a slow machine needs for the rest.
LONG = 4.0
WAITING = re.compile(r"^articles\.Article: waiting for writers, 0:0\d left$", re.MULTILINE)  # among other stages


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def no_rebuild(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is rebuilt, and so nothing waits for the write deadline."""

    def begin(rebuild: Rebuild) -> None:
        raise AssertionError("a rebuild waits for the write deadline")

    monkeypatch.setattr(Rebuild, "_wait_for_deadline", begin)


class Ran:
    """A run of the command: ``out`` and ``err`` without colours, ``status`` as the process would have."""

    def __init__(self, *labels: str, stderr: io.StringIO | None = None, **options: Any) -> None:
        out, err = io.StringIO(), stderr or io.StringIO()
        self.status, self.message = 0, ""
        begun = time.monotonic()
        try:
            call_command("sb_reindex", *labels, stdout=out, stderr=err, **options)
        except CommandError as error:
            self.status, self.message = error.returncode, str(error)
        self.seconds = time.monotonic() - begun
        self.out, self.err = out.getvalue(), ANSI.sub("", err.getvalue())

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)

    @property
    def outcomes(self) -> dict[str, str]:
        return {table["model"]: table["outcome"] for table in self.json["tables"]}


@pytest.fixture
def filled(site: Site) -> Site:
    """The site with two authors, thirty articles and a few permissions."""
    authors = [Author.objects.create(name=name) for name in ("Ada", "Grace")]
    Article.objects.bulk_create(
        Article(author=authors[number % 2], title=str(number), category="c") for number in range(30)
    )
    kind = ContentType.objects.create(app_label="tests", model="thing")
    permission = Permission.objects.create(content_type=kind, codename="p", name="p")
    Group.objects.create(name="group").permissions.add(permission)
    return site


@pytest.fixture
def flushed(filled: Site) -> Site:
    """The same after a FLUSHALL."""
    with filled.redis() as client:
        client.flushall()
    return filled


@pytest.fixture
def second(site: Site) -> Iterator[dict[str, Any]]:
    """The settings of another database, without documents."""
    with site.beside() as settings:
        yield settings


def corrupt(model: type[Article] | type[Author]) -> str:
    """Spoil one document; returns its key."""
    resources, schema = connection.resources, connection.schema_of_model(model)
    key = next(iter(resources.store.list(resources.keys.table_prefix(schema.table)))).key
    resources.store.put(key, b"not JSON")
    return key


def test_reindex_brings_every_index_back(flushed: Site) -> None:
    ran = Ran()
    assert (ran.status, ran.err) == (0, "")
    for model in (Article, Author, Group, Permission, ContentType, Group.permissions.through):
        assert flushed.state(model).trusted, model
    with profile_queries() as queries:
        assert Article.objects.filter(author__name="Ada").count() == 15
        assert [p.codename for p in Group.objects.get(name="group").permissions.all()] == ["p"]
    assert not queries.full_scans()
    assert "articles.Article: 30 documents indexed in " in ran.out
    assert "(30 read, 0 known by their ETag, 0 changed meanwhile)." in ran.out
    assert "Before, its index was not trusted (Redis lost the index)." in ran.out


def test_tables_share_the_wait_for_the_write_deadline(flushed: Site) -> None:
    flushed.restart(write_deadline=LONG)
    ran = Ran(json=True)
    assert len(ran.outcomes) >= 10
    assert LONG < ran.seconds < LONG * len(ran.outcomes) / 2


def test_more_tables_than_threads_take_turns(flushed: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reindex, "WORKERS", 1)
    ran = Ran("articles", json=True)
    assert ran.outcomes == {"articles.Author": "rebuilt", "articles.Article": "rebuilt"}
    assert ran.seconds > 2 * WRITE_DEADLINE


def test_labels_narrow_what_is_rebuilt(flushed: Site) -> None:
    Ran("articles.Author")
    assert flushed.state(Author).trusted
    assert not flushed.state(Article).trusted


def test_trusted_index_is_rebuilt_without_reading_unchanged_documents(filled: Site) -> None:
    article = Article.objects.first()
    article.save()
    (table,) = Ran("articles.Article", json=True).json["tables"]
    assert (table["outcome"], table["read"], table["reused"]) == ("rebuilt", 0, 30)
    assert table["before"] == {"trusted": True, "reason": None, "detail": "", "documents": 30}


def test_restart_that_kept_its_data_costs_no_document_that_is_unchanged(filled: Site) -> None:
    with filled.redis() as client:
        client.save()
    filled.server.kill()
    filled.server.start()
    filled.server.dump_file.unlink()
    filled.restart()
    (table,) = Ran("articles.Article", json=True).json["tables"]
    assert (table["outcome"], table["read"], table["reused"]) == ("rebuilt", 0, 30)
    assert table["before"]["reason"] == "Redis restarted"
    assert filled.state(Article).trusted


def test_full_reads_every_document(filled: Site) -> None:
    (table,) = Ran("articles.Article", json=True, full=True).json["tables"]
    assert (table["read"], table["reused"]) == (30, 0)


@pytest.mark.usefixtures("no_rebuild")
def test_empty_table_with_a_trusted_index_is_left_alone(site: Site) -> None:
    connection.resources.indexes.attend(site.schema(Author))
    ran = Ran("articles.Author")
    assert (ran.status, ran.out) == (0, "articles.Author: has no documents and a trusted index; nothing to do.\n")


def test_empty_table_with_a_trusted_index_is_rebuilt_when_it_is_full(site: Site) -> None:
    connection.resources.indexes.attend(site.schema(Author))
    assert Ran("articles.Author", json=True, full=True).outcomes == {"articles.Author": "rebuilt"}


def test_empty_table_without_an_index_gets_one(site: Site) -> None:
    assert Ran("articles.Author", json=True).outcomes == {"articles.Author": "rebuilt"}
    assert site.state(Author).trusted


def test_dry_run_gives_reasons_and_writes_nothing(flushed: Site) -> None:
    Ran("articles.Author")
    Article.objects.filter(title="1").delete()  # without an index: the manifest says suspect
    connection.resources.indexes.attend(flushed.schema(Group))
    objects, keys = flushed.objects(), flushed.redis_keys("*")
    ran = Ran("articles", "auth.Group", dry_run=True)
    assert ran.status == 0
    assert ran.out.splitlines() == [
        "auth.Group_permissions: its index is not trusted (Redis lost the index). It would be rebuilt, in 1 s at "
        "least.",
        "auth.Group: its index is not trusted (Redis lost the index). It would be rebuilt, in 1 s at least.",
        "articles.Author: its index is trusted (2 documents). It would be rebuilt, in 1 s at least.",
        "articles.Article: its index is not trusted (writes were made without the index). It would be rebuilt, in 1 s "
        "at least.",
    ]
    assert (flushed.objects(), flushed.redis_keys("*")) == (objects, keys)


def test_dry_run_leaves_what_a_run_would_leave(site: Site) -> None:
    connection.resources.indexes.attend(site.schema(Author))
    ran = Ran("articles.Author", dry_run=True)
    assert ran.out == "articles.Author: has no documents and a trusted index; nothing would be done.\n"
    assert Ran("articles.Author", dry_run=True, full=True, json=True).outcomes == {
        "articles.Author": "would be rebuilt"
    }


def test_json_is_one_object_and_nothing_else(flushed: Site) -> None:
    ran = Ran("articles.Article", json=True, verbosity=2)
    (table,) = ran.json["tables"]
    epoch = flushed.state(Article).entry.epoch
    assert {**table, "seconds": None} == {
        "database": "default",
        "model": "articles.Article",
        "table": "articles",
        "epoch": epoch,
        "documents": 30,
        "read": 30,
        "reused": 0,
        "mended": 0,
        "corrupt": 0,
        "seconds": None,
        "outcome": "rebuilt",
        "before": {"trusted": False, "reason": "Redis lost the index", "detail": "", "documents": None},
        "packs": None,
        "error": None,
        "packing": None,
        "packing_error": None,
    }
    assert table["seconds"] >= WRITE_DEADLINE
    assert {key: value for key, value in ran.json.items() if key != "tables"} == {
        "dry_run": False,
        "interrupted": False,
        "refused": [],
    }


def test_table_that_fails_does_not_keep_others_from_being_rebuilt(flushed: Site) -> None:
    key = corrupt(Article)
    ran = Ran("articles")
    assert ran.status == 1
    assert ran.message == "1 of 2 tables was not rebuilt. The reasons stand above."
    assert f"articles.Article: failed. The object {key!r} is not a readable document" in ran.err
    assert "articles.Author: 2 documents indexed" in ran.out
    assert flushed.state(Author).trusted
    assert not flushed.state(Article).trusted


def test_json_names_the_failure(flushed: Site) -> None:
    key = corrupt(Article)
    ran = Ran("articles", json=True)
    assert ran.outcomes == {"articles.Author": "rebuilt", "articles.Article": "failed"}
    (failed,) = [table for table in ran.json["tables"] if table["outcome"] == "failed"]
    assert (ran.status, failed["documents"], failed["seconds"]) == (1, None, None)
    assert key in failed["error"]


def test_unreadable_document_is_left_out_and_counted_when_the_option_says_so(flushed: Site) -> None:
    flushed.restart(on_corrupt="skip")
    corrupt(Article)
    ran = Ran("articles.Article")
    assert ran.status == 0
    assert "1 left out as unreadable" in ran.out
    assert flushed.state(Article).trusted


def test_database_without_cache_says_so_and_fails(filled: Site) -> None:
    filled.restart(cache=None)
    for options in ({}, {"dry_run": True}):
        ran = Ran(**options)
        assert ran.status == 1
        assert ran.message == "the database 'default' was left out. The reasons stand above."
        assert "The database 'default' has no indexes: its option cache is None." in ran.err
        assert ran.out == ""


def test_redis_that_is_down_is_asked_once_and_named(filled: Site) -> None:
    filled.server.stop()
    ran = Ran(json=True)
    assert ran.status == 1
    (refused,) = ran.json["refused"]
    assert refused["database"] == "default"
    assert "its Redis (cache 'own') cannot be used: ConnectionError" in refused["error"]
    assert ran.json["tables"] == []
    assert ran.err.count("cannot be used") == 1


def test_breaker_that_is_open_does_not_keep_an_operator_out(filled: Site) -> None:
    filled.server.stop()
    for _ in range(breaker.FAILURES):
        Article.objects.filter(category="c").count()
    assert not breaker.breaker_of(ALIAS).admits()
    filled.server.start()
    assert Ran("articles", verbosity=0).status == 0
    assert filled.state(Article).trusted


def test_redis_that_dies_during_a_rebuild_fails_it_and_harms_nothing(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuild = Rebuilder.rebuild

    def dying(self: Rebuilder, schema: Any, *, full: bool, progress: Any) -> Any:
        def kill(done: int, total: int | None) -> None:
            progress(done, total)
            filled.server.kill()

        return rebuild(self, schema, full=full, progress=kill)

    monkeypatch.setattr(Rebuilder, "rebuild", dying)
    ran = Ran("articles.Article")
    monkeypatch.undo()
    assert ran.status == 1
    assert "articles.Article: failed. The index of articles.Article was not rebuilt" in ran.err
    assert Article.objects.filter(category="c").count() == 30
    filled.server.start()
    assert Ran("articles.Article").status == 0
    assert filled.state(Article).trusted


def test_second_database_is_rebuilt_too_and_named(flushed: Site, second: dict[str, Any]) -> None:
    ran = Ran("articles.Author")
    assert ran.status == 0
    assert sorted(line.partition(":")[0] for line in ran.out.splitlines()) == [
        "articles.Author (default)",
        "articles.Author (second)",
    ]
    ran = Ran("articles.Article", database=["second"], json=True)
    assert [table["database"] for table in ran.json["tables"]] == ["second"]
    assert Ran("articles.Article", database="second", json=True, dry_run=True).json["tables"]


def test_database_that_is_refused_does_not_keep_others_from_being_rebuilt(
    flushed: Site, second: dict[str, Any]
) -> None:
    second["OPTIONS"] = {**second["OPTIONS"], "cache": None}
    ran = Ran("articles.Author")
    assert ran.status == 1
    assert ran.message == "the database 'second' was left out. The reasons stand above."
    assert "articles.Author (default): 2 documents indexed" in ran.out


def test_models_that_live_elsewhere_are_an_error(site: Site, settings: Settings) -> None:
    class Elsewhere:
        def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
            return False if app_label == "articles" else None

    settings.DATABASE_ROUTERS = [Elsewhere()]
    ran = Ran("articles.Article")
    assert ran.status == 1
    assert "the database router keeps the models articles.Article in other databases" in ran.message


def test_second_rebuild_of_a_table_is_refused_while_the_first_is_under_way(
    flushed: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Ran] = []
    rebuild = Rebuilder.rebuild

    def with_another(self: Rebuilder, schema: Any, *, full: bool, progress: Any) -> Any:
        def start_another(done: int, total: int | None) -> None:
            if not ran:
                monkeypatch.setattr(Rebuilder, "rebuild", rebuild)
                ran.append(Ran("articles.Article"))
            progress(done, total)

        return rebuild(self, schema, full=full, progress=start_another)

    monkeypatch.setattr(Rebuilder, "rebuild", with_another)
    assert Ran("articles.Article").status == 0
    assert ran[0].status == 1
    assert "Another rebuild of articles.Article is under way" in ran[0].err


def frames(terminal: Terminal) -> list[list[str]]:
    """What stood on the terminal each time that it was drawn anew, without colours."""
    drawn = re.split(r"(?:\r?\x1b\[2K|\x1b\[1A|\r)+", ANSI_COLOR.sub("", terminal.getvalue()).replace("\x1b[?25l", ""))
    return [frame.splitlines() for frame in drawn if frame.strip()]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 80 columns that shows colours."""
    for name, value in {"COLUMNS": "80", "LINES": "24", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def test_bars_are_drawn_on_a_terminal_and_wiped(flushed: Site, terminal: Terminal) -> None:
    flushed.restart(write_deadline=LONG)
    ran = Ran("articles", stderr=terminal)
    lines = [line for frame in frames(terminal) for line in frame]
    assert max(map(len, lines)) < 80
    assert any(re.match(r"articles\.Article ━+.* waiting for writers +0:0\d$", line) for line in lines)
    assert any(re.match(r"\S about 0:0\d left: 0 of 2 tables ready, waiting for writers$", line) for line in lines)
    assert terminal.getvalue().endswith("\x1b[2K")
    assert terminal.getvalue().count("\x1b[?25l") == terminal.getvalue().count("\x1b[?25h")
    assert "\x1b" not in ran.out
    assert ran.out.count("\n") == 2


@pytest.mark.parametrize(("no_color", "variable"), [(True, ""), (False, "1"), (False, "")])
def test_colours_are_shown_unless_they_are_refused(
    flushed: Site, terminal: Terminal, monkeypatch: pytest.MonkeyPatch, no_color: bool, variable: str
) -> None:
    monkeypatch.setenv("NO_COLOR", variable)
    corrupt(Article)
    ran = Ran("articles", stderr=terminal, no_color=no_color)
    assert "articles.Article: failed." in ran.err
    assert bool(ANSI_COLOR.search(terminal.getvalue())) is not (no_color or bool(variable))


def test_a_dumb_terminal_gets_lines(flushed: Site, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    flushed.restart(write_deadline=LONG)
    Ran("articles.Article", stderr=terminal, verbosity=2, no_color=True)
    assert WAITING.search(terminal.getvalue())
    assert "\x1b" not in terminal.getvalue()


def test_nothing_but_results_is_said_without_a_terminal(flushed: Site) -> None:
    ran = Ran("articles")
    assert (ran.out.count("\n"), ran.err) == (2, "")


def test_phases_are_lines_of_text_when_asked_for(flushed: Site) -> None:
    flushed.restart(write_deadline=LONG)
    ran = Ran("articles.Article", verbosity=2)
    assert WAITING.search(ran.err)


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_verbosity_0_says_nothing(flushed: Site, stream: type[io.StringIO]) -> None:
    ran = Ran("articles", verbosity=0, stderr=stream())
    assert (ran.status, ran.out, ran.err) == (0, "", "")


def test_help_teaches_by_description_and_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    parser = Command().create_parser("manage.py", "sb_reindex")
    assert isinstance(parser, CommandParser)
    text = parser.format_help()
    for word in (
        "write_deadline",
        "--dry-run",
        "--full",
        "--json",
        "--database",
        "exit status",
        "examples:",
        "when to run it:",
    ):
        assert word in text
    assert max(map(len, text.splitlines())) <= 80
    assert text.index("--database") < text.index("--verbosity")
    for line in text.splitlines():
        if line.strip().startswith("manage.py sb_reindex "):
            parser.parse_args(line.split("  ")[1].split()[2:] if ">" not in line else ["--json"])


def test_ctrl_c_ends_it_with_its_own_status_and_leaves_the_old_index(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuilds = reindex.Reindexer.run

    def interrupted(self: reindex.Reindexer, tell: Any, tick: Any) -> Any:
        def ctrl_c() -> None:
            raise KeyboardInterrupt

        return rebuilds(self, tell, ctrl_c)

    monkeypatch.setattr(reindex.Reindexer, "run", interrupted)
    before = filled.state(Article).entry
    ran = Ran("articles.Article")
    monkeypatch.undo()
    assert ran.status == 130
    assert "Run sb_reindex again when you like" in ran.message
    assert ran.out == "articles.Article: interrupted; as before, its index is trusted (30 documents).\n"
    assert filled.state(Article).trusted
    assert (filled.state(Article).entry.epoch, filled.state(Article).entry.building) == (before.epoch, None)
    assert Ran("articles.Article").status == 0
