"""``sb_profile``: what it shows, on what kind of output, and how it ends."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from fcntl import ioctl
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import DjangoDbBlocker

import testproject
from django_smarterbase.history import ProfileHistory, history_of, registry
from django_smarterbase.ops import StorageOps
from django_smarterbase.profiling import QueryProfile
from testproject.services import RedisServer
from tests.integration.commands.site import RecordingSite, Site, site_in
from tests.serving import REDIS_TIMEOUT

MANAGE = Path(testproject.__file__).parent / "manage.py"
MOMENT = datetime(2025, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a new process would have: no history."""
    monkeypatch.setattr(registry, "_process", registry._Process())


@pytest.fixture
def site(tmp_path: Path, server: RedisServer, django_db_blocker: DjangoDbBlocker) -> Iterator[Site]:
    """An open, empty site with a history."""
    with django_db_blocker.unblock(), site_in(tmp_path / "objects", server, RecordingSite) as site:
        yield site


@pytest.fixture
def history(site: Site) -> ProfileHistory:
    """The history of the site, empty."""
    return history_of("default")


def profile(method: str, seconds: float = 0, **changes: Any) -> QueryProfile:
    """A profile that started so many seconds after noon."""
    facts: dict[str, Any] = {
        "method": method,
        "model": "articles.Article",
        "database": "default",
        "operation": "select",
        "complexity": "O(1)",
        "index_used": "redis:articles-by-author",
        "started_at": MOMENT + timedelta(seconds=seconds),
        "duration": 2.0,
        "storage_ops": StorageOps(reads=3),
        "result_count": 3,
        "plan": ("articles: IndexLookup redis:articles-by-author, O(1)",),
    }
    return QueryProfile(**(facts | changes))


def scan(method: str, seconds: float = 0, **changes: Any) -> QueryProfile:
    """A profile of a full scan."""
    facts = {
        "complexity": "O(n)",
        "index_used": "none:full-scan",
        "storage_ops": StorageOps(reads=1000, lists=1),
        "plan": ("articles: Scan of every document, O(n)",),
    }
    return profile(method, seconds, **(facts | changes))


@pytest.fixture
def filled(history: ProfileHistory) -> ProfileHistory:
    """A history of four statements by three methods."""
    for each in (
        profile("ListBooks", 0, duration=1.0),
        profile("ListBooks", 1, duration=3.0),
        scan("SearchBooks", 2, duration=150.0, model="articles.Author"),
        scan("CountBooks", 3, fallback=True, fallback_reason="Redis unreachable"),
    ):
        history.keep(each)
    return history


def output(*arguments: str, **options: Any) -> str:
    """The text that the command writes."""
    out = io.StringIO()
    call_command("sb_profile", *arguments, stdout=out, **options)
    return out.getvalue()


def lines(*arguments: str, **options: Any) -> list[str]:
    """Its lines, without blanks at their ends, and without empty ones."""
    return [line.rstrip() for line in output(*arguments, **options).splitlines() if line.strip()]


def cells(line: str) -> list[str]:
    """The cells of a line of a table."""
    return re.split(r"\s{2,}", line.strip())


def test_command_shows_figures_and_a_table_by_method(filled: ProfileHistory) -> None:
    shown = lines()
    assert shown[:4] == [
        "Profiles of database 'default', of all processes (from Redis)",
        "Statements: 4, from 2025-03-01 06:00:00.000 to 06:00:03.000 CST",
        "Slow (100 ms or more): 1, full scans: 2, fallbacks: 1, failed: 0",
        "Duration: average 39.0 ms, p50 2.0 ms, p95 150.0 ms, p99 150.0 ms. Cost: $0.00081",
    ]
    assert [cells(line) for line in shown[4:]] == [
        ["Method", "Count", "Average ms", "p95 ms", "Complexity", "Index used", "Storage ops", "Cost"],
        [cells(shown[5])[0]],
        ["SearchBooks", "1", "150.0", "150.0", "O(n)", "none:full-scan", "1,001", "$0.00041"],
        ["ListBooks", "2", "2.0", "3.0", "O(1)", "redis:articles-by-author", "6", "$0.0000024"],
        ["CountBooks", "1", "2.0", "2.0", "O(n)", "none:full-scan", "1,001", "$0.00041"],
    ]


def test_command_says_so_when_there_are_no_profiles(history: ProfileHistory) -> None:
    assert lines() == ["Profiles of database 'default', of all processes (from Redis)", "No profiles."]


@pytest.mark.parametrize(
    ("arguments", "methods"),
    [
        ([], ["CountBooks", "SearchBooks", "ListBooks", "ListBooks"]),
        (["--slow"], ["SearchBooks"]),
        (["--slow", "3"], ["SearchBooks", "ListBooks"]),
        (["--fallbacks"], ["CountBooks"]),
        (["--full-scans"], ["CountBooks", "SearchBooks"]),
        (["--method", "listbooks"], ["ListBooks", "ListBooks"]),
        (["--model", "articles.author"], ["SearchBooks"]),
        (["--full-scans", "--model", "articles.Article"], ["CountBooks"]),
        (["--limit", "1"], ["CountBooks"]),
        (["--since", "30m"], []),
        (["--since", "10000d"], ["CountBooks", "SearchBooks", "ListBooks", "ListBooks"]),
    ],
)
def test_arguments_choose_the_profiles(filled: ProfileHistory, arguments: list[str], methods: list[str]) -> None:
    (shown,) = json.loads(output(*arguments, "--json"))["databases"]

    assert [each["method"] for each in shown["profiles"]] == methods
    assert shown["summary"]["total"] == len(methods)


@pytest.mark.parametrize(
    ("name", "near"), [("articles", " Did you mean 'articles.Author' or 'articles.Article'?"), ("nonsense", "")]
)
def test_model_that_is_none_is_refused_with_the_nearest(history: ProfileHistory, name: str, near: str) -> None:
    with pytest.raises(CommandError) as refused:
        output("--model", name)

    assert str(refused.value) == f"No installed model is called {name!r}.{near}"


def test_age_is_counted_back_from_now(history: ProfileHistory) -> None:
    now = datetime.now(UTC)
    for unit, age in {"s": 50, "m": 3000, "h": 80_000, "d": 6 * 86_400, "w": 8 * 86_400}.items():
        history.keep(profile(unit, started_at=now - timedelta(seconds=age)))

    def methods(age: str) -> list[str]:
        (shown,) = json.loads(output("--since", age, "--json"))["databases"]
        return [each["method"] for each in shown["profiles"]]

    assert methods("60s") == ["s"]
    assert methods("55m") == ["s", "m"]
    assert methods("24h") == ["s", "m", "h"]
    assert methods("7d") == ["s", "m", "h", "d"]
    assert methods("2w") == ["s", "m", "h", "d", "w"]


def test_statements_out_of_the_ordinary_are_listed_one_by_one(filled: ProfileHistory) -> None:
    heading, titles, _, *statements = lines("--full-scans")[-5:]

    assert heading == "The latest 2 of 2 recorded"
    assert cells(titles) == [
        *("Started", "ms", "Method", "Statement", "Index used", "Storage ops", "Results", "Remarks"),
    ]
    assert [cells(line) for line in statements] == [
        [
            *("06:00:03.000", "2.0", "CountBooks", "select articles.Article", "none:full-scan", "1,001", "3"),
            "FALLBACK: Redis unreachable",
        ],
        ["06:00:02.000", "150.0", "SearchBooks", "select articles.Author", "none:full-scan", "1,001", "3"],
    ]


def test_list_is_of_the_latest_twenty(history: ProfileHistory) -> None:
    for number in range(25):
        history.keep(scan(f"Scan{number:02}", number))

    shown = lines("--full-scans")

    assert "The latest 20 of 25 recorded" in shown
    listed = shown[shown.index("The latest 20 of 25 recorded") :]
    assert ("Scan24" in "".join(listed), "Scan04" in "".join(listed)) == (True, False)


def test_verbose_command_shows_every_statement_with_its_plan(history: ProfileHistory) -> None:
    history.keep(profile("ListBooks", filter_values=("author='Ada'",)))

    assert lines("-v", "2")[-8:] == [
        "2025-03-01 06:00:00.000  select articles.Article",
        "  • ListBooks: O(1)",
        "    - Index: redis:articles-by-author",
        "    - Storage ops: 3",
        "    - Results: 3",
        "    - Duration: 2.0 ms",
        "    - Plan: articles: IndexLookup redis:articles-by-author, O(1)",
        "    - Value: author='Ada'",
    ]


def test_figures_of_sampled_profiles_are_marked_as_estimates(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.restart(profile_sampling=0.1)
    monkeypatch.setattr("random.random", lambda: 0.05)
    for number in range(5):
        history_of("default").keep(profile("ListBooks", number))

    assert lines()[1].startswith("Statements: 50 (estimated from 5 recorded), from ")


def test_dropped_profiles_are_mentioned(history: ProfileHistory, site: Site) -> None:
    site.server.stop()
    for number in range(2007):
        history.keep(profile("ListBooks", number))
    site.server.start()

    assert lines()[1] == "Dropped before they could be sent: 7"
    assert json.loads(output("--json"))["databases"][0]["dropped"] == 7


def test_json_has_profiles_with_their_weights_and_a_summary(filled: ProfileHistory) -> None:
    (shown,) = json.loads(output("--json"))["databases"]

    assert (shown["database"], shown["source"], shown["unavailable_since"], shown["problem"]) == (
        "default",
        "redis",
        None,
        None,
    )
    assert shown["summary"]["by_method"]["ListBooks"]["p95_ms"] == 3.0
    newest = shown["profiles"][0]
    assert newest.pop("weight") == 1.0
    assert newest == filled.read().profiles[0].as_dict()


def test_slow_is_what_the_option_of_the_database_says(site: Site) -> None:
    site.restart(slow_ms=2.5)
    for duration in (2.4, 2.5):
        history_of("default").keep(profile("ListBooks", duration=duration))

    (shown,) = json.loads(output("--slow", "--json"))["databases"]
    assert [each["duration"] for each in shown["profiles"]] == [2.5]
    assert lines()[2].startswith("Slow (2.5 ms or more): 1,")


def test_clear_empties_the_history(filled: ProfileHistory) -> None:
    assert output("--clear") == "Cleared the history of database 'default'.\n"
    assert filled.read().profiles == ()
    assert output("--clear", verbosity=0) == ""


def test_command_fails_and_says_what_to_do_when_redis_is_down(filled: ProfileHistory, site: Site) -> None:
    filled.flush()
    site.server.stop()
    registry._process = registry._Process()
    out = io.StringIO()

    with pytest.raises(CommandError) as raised:
        call_command("sb_profile", stdout=out)

    assert raised.value.returncode == 1
    assert out.getvalue().splitlines() == ["Profiles of database 'default', of this process only", "No profiles."]
    assert str(raised.value).startswith("Redis (cache 'own') cannot be used: ConnectionError: ")
    assert str(raised.value).endswith("Bring Redis back, then run sb_profile again.")
    with pytest.raises(CommandError, match="was not cleared"):
        output("--clear")


def test_command_says_that_processes_without_a_cache_keep_their_profiles(site: Site) -> None:
    site.restart(cache=None)

    with pytest.raises(CommandError, match=r"'default' has no cache.*Set the option cache"):
        output()


def test_command_says_that_no_profiles_are_kept(site: Site) -> None:
    site.restart(profile_history=0)

    with pytest.raises(CommandError, match="No profiles are kept of database 'default': the option profile_history"):
        output()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "yesterday"], "'yesterday' is no age; write a number and a unit: 45s, 30m, 1h, 2d, 1w"),
        (["--slow", "fast"], "'fast' is not a number of milliseconds, 0 or more"),
        (["--slow=-1"], "'-1' is not a number of milliseconds, 0 or more"),
        (["--slow", "inf"], "'inf' is not a number of milliseconds, 0 or more"),
        (["--limit", "0"], "'0' is not a number of profiles above 0"),
        (["--follow", "--clear"], "argument --clear: not allowed with argument --follow"),
        (["--follow", "--since", "1h"], "--since and --limit choose among past profiles"),
        (["--database", "defualt"], "'defualt' is no database with the engine"),
    ],
)
def test_command_refuses_what_it_cannot_understand(site: Site, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError) as raised:
        output(*arguments)

    assert message in str(raised.value)


def test_several_databases_are_shown_one_after_another(filled: ProfileHistory, site: Site) -> None:
    with site.beside("second"):
        history_of("second").keep(profile("ListShelves", database="second"))
        shown = lines()
        assert [line for line in shown if line.startswith("Profiles of")] == [
            "Profiles of database 'default', of all processes (from Redis)",
            "Profiles of database 'second', of all processes (from Redis)",
        ]
        assert [line for line in shown if line.startswith("Statements: ")] == [
            "Statements: 4, from 2025-03-01 06:00:00.000 to 06:00:03.000 CST",
            "Statements: 1, from 2025-03-01 06:00:00.000 to 06:00:00.000 CST",
        ]
        assert lines("--database", "second") == shown[-len(lines("--database", "second")) :]


def environment(site: Site, **changes: str) -> dict[str, str]:
    """Variables for a process of the example site that is the same site."""
    colors = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM")
    return {
        **{
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SMARTERBASE_", "DJANGO_")) and name not in colors
        },
        "REDIS_URL": site.server.url,
        "SMARTERBASE_NAME": site.name,
        "SMARTERBASE_OBJECTS": str(site.folder),
        "SMARTERBASE_REDIS_TIMEOUT": REDIS_TIMEOUT,
        "TERM": "xterm-256color",
        **changes,
    }


def on_terminal(site: Site, width: int, *arguments: str, **variables: str) -> str:
    """What the command writes to a terminal of this width."""
    main, end = pty.openpty()
    ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    command = [sys.executable, str(MANAGE), "sb_profile", *arguments]
    with subprocess.Popen(command, env=environment(site, **variables), stdout=end, stderr=end) as process:
        os.close(end)
        written = b""
        try:
            while piece := os.read(main, 65536):
                written += piece
        except OSError:  # the other end is closed
            pass
    os.close(main)
    assert process.returncode == 0, written.decode()
    return written.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (120, ["Method", "Count", "Average ms", "p95 ms", "Complexity", "Index used", "Storage ops", "Cost"]),
        (80, ["Method", "Count", "Average ms", "p95 ms", "Index used"]),
        (40, ["Method", "Count", "p95 ms"]),
        (20, ["Method"]),
    ],
)
def test_narrow_terminal_gets_fewer_columns_and_no_line_is_too_long(
    filled: ProfileHistory, site: Site, width: int, columns: list[str]
) -> None:
    filled.flush()

    table = on_terminal(site, width, "--no-color").splitlines()[4:]

    assert cells(next(line for line in table if "Method" in line)) == columns
    assert max(map(len, table)) <= width
    assert "SearchBooks" in "".join(table)


def test_terminal_gets_colors_unless_somebody_wants_none(filled: ProfileHistory, site: Site) -> None:
    filled.flush()

    assert "\x1b[31mO(n)\x1b[0m" in on_terminal(site, 120)
    uncolored = on_terminal(site, 120, NO_COLOR="1")
    assert "\x1b[31m" not in uncolored
    assert "O(n)" in uncolored
    assert "\x1b" not in on_terminal(site, 120, "--no-color")


def test_file_gets_whole_lines_and_no_colors_unless_forced(filled: ProfileHistory) -> None:
    filled.keep(profile("A" * 300))

    assert "A" * 300 in output()
    assert "\x1b" not in output()
    assert "\x1b[31mO(n)" in output("--force-color")


def test_name_with_control_characters_does_no_harm(history: ProfileHistory) -> None:
    history.keep(profile("[red]Evil\x1b[2J:tada:"))

    assert "\x1b" not in output()
    assert "[red]Evil\N{REPLACEMENT CHARACTER}[2J:tada:" in output()
    assert "[red]Evil\N{REPLACEMENT CHARACTER}[2J:tada:" in output("-v", "2")


class Follower:
    """A running ``sb_profile --follow``. It writes to files, so that it never waits for a reader."""

    def __init__(self, site: Site, folder: Path, *arguments: str) -> None:
        self.files = {name: folder / name for name in ("out", "err")}
        command = [sys.executable, str(MANAGE), "sb_profile", "--follow", *arguments]
        with self.files["out"].open("w") as out, self.files["err"].open("w") as err:
            self.process = subprocess.Popen(command, env=environment(site), stdout=out, stderr=err)

    def written(self, name: str) -> str:
        """What it has written until now."""
        return self.files[name].read_text()

    def wait_for(self, text: str, name: str = "out", meanwhile: Callable[[], object] = lambda: None) -> None:
        """Return once it has written ``text``."""
        deadline = time.monotonic() + 60
        while text not in self.written(name):
            assert self.process.poll() is None, self.written("err")
            assert time.monotonic() < deadline, self.written(name)
            meanwhile()
            time.sleep(0.05)

    def end(self, number: signal.Signals) -> int:
        """Send it a signal; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def follow(site: Site, tmp_path: Path) -> Iterator[Callable[..., Follower]]:
    """A function that begins to follow."""
    followers: list[Follower] = []

    def begin(*arguments: str) -> Follower:
        followers.append(Follower(site, tmp_path, *arguments))
        return followers[-1]

    yield begin
    for follower in followers:
        follower.process.kill()
        follower.process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_follow_prints_profiles_as_they_come_and_ends_when_it_is_told(
    history: ProfileHistory, follow: Callable[..., Follower], number: signal.Signals
) -> None:
    def arrive() -> None:
        history.keep(profile("Ordinary"))
        history.keep(scan("SearchBooks", fallback=True, fallback_reason="Redis lost the index"))
        history.flush()

    follower = follow("--fallbacks")
    follower.wait_for("\n", meanwhile=arrive)

    assert (follower.end(number), follower.written("err")) == (0, "")
    assert set(follower.written("out").splitlines()) == {
        "12:00:00.000       2.0 ms  SearchBooks: select articles.Article, O(n) by none:full-scan, 1,001 storage ops, "
        "results: 3  [FALLBACK: Redis lost the index]"
    }


def test_follow_survives_an_outage_and_says_so(
    history: ProfileHistory, site: Site, follow: Callable[..., Follower]
) -> None:
    def arrive(method: str, history: ProfileHistory) -> None:
        history.keep(profile(method))
        history.flush()

    follower = follow("--json")
    follower.wait_for('"Before"', meanwhile=lambda: arrive("Before", history))
    site.server.stop()
    follower.wait_for("cannot be reached", "err")
    site.server.start()
    later = ProfileHistory("default", site.name, history.options)
    follower.wait_for('"After"', meanwhile=lambda: arrive("After", later))

    assert follower.end(signal.SIGINT) == 0
    assert "answers again" in follower.written("err")
    assert {json.loads(line)["method"] for line in follower.written("out").splitlines()} == {"Before", "After"}
