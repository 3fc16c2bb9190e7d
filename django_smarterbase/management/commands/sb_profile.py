"""``manage.py sb_profile``: what the statements of all processes did, from the history of profiles."""

from __future__ import annotations

import json
import re
import time
from argparse import ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser

from ...exceptions import HistoryUnavailable
from ...history import HistoryPage, ProfileHistory, history_of
from ...profiling import QueryProfile, Selection
from ..ending import ended_by_sigterm
from ..helping import TeachingCommand
from ..profile_report import LISTED, console_of, line_of, show, show_blocks
from ..tables import chosen_databases, label_of_model
from ..tenant import add_tenant_argument, within_tenant

EVERY: Final = 0.5  # seconds between two looks of --follow
_AGE: Final = re.compile(r"(\d+)([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
#: ``--slow`` without a number: what the option ``slow_ms`` of the database says.
_AS_CONFIGURED: Final = -1.0

DESCRIPTION = """\
Show what the statements of smarterbase databases did: how often each method
ran, how long it took, by which index its rows were found, how many requests to
the object store that took and what they cost.

Run it when a site is slow or a bill is high: --slow, --full-scans and
--fallbacks list the statements that are worth a look, -v 2 adds their plans.

The figures are of the history: the latest profiles of all processes, which lie
in Redis (option profile_history). With profile_sampling below 1 they are
estimates for all statements. A profile comes to Redis a second after its
statement."""

EPILOG = """\
examples:
  manage.py sb_profile
      all that the history holds, a table by method
  manage.py sb_profile --since 1h --slow
      statements of the last hour that were slow, the latest one by one
  manage.py sb_profile --full-scans --model articles.Article
      which methods read the whole table?
  manage.py sb_profile --method ListBooks -v 2
      every statement of a method with its plan
  manage.py sb_profile --follow --fallbacks
      fallbacks as they happen, until Ctrl-C
  manage.py sb_profile --json >profiles.json
      one JSON object; errors go to the other output

exit status: 0 when the history could be read, also when it is empty; 1
otherwise, for example when Redis cannot be reached: profiles then stay in
their processes until it can."""


class Command(TeachingCommand):
    """Shows the history of profiles."""

    help = DESCRIPTION
    epilog = EPILOG
    formatter = RawDescriptionHelpFormatter

    def add_arguments(self, parser: CommandParser) -> None:
        """Which profiles, and what to do with them."""
        parser.add_argument(
            "--database", action="append", default=[], metavar="ALIAS", help="only this database; may be repeated"
        )
        add_tenant_argument(parser)
        parser.add_argument("--method", metavar="NAME", help="only statements of this method")
        parser.add_argument("--model", metavar="app_label.Model", help="only statements about this model")
        parser.add_argument(
            "--slow",
            type=_milliseconds,
            nargs="?",
            const=_AS_CONFIGURED,
            metavar="MS",
            help="only statements of so many ms or more (default: the option slow_ms of the database)",
        )
        parser.add_argument("--fallbacks", action="store_true", help="only statements whose index was not trusted")
        parser.add_argument("--full-scans", action="store_true", help="only statements that read a whole table")
        parser.add_argument("--since", type=_age, metavar="AGE", help="only those of the last 45s, 30m, 1h, 2d or 1w")
        parser.add_argument("--limit", type=_number, metavar="N", help="only the latest N of them")
        parser.add_argument("--json", action="store_true", help="print JSON instead of text")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--follow", action="store_true", help="print profiles as they come, until Ctrl-C")
        what.add_argument("--clear", action="store_true", help="delete the history of all processes")

    def handle(self, *args: Any, **options: Any) -> None:
        """Show, follow or clear. Raises CommandError."""
        aliases = chosen_databases(options["database"])
        with within_tenant(options["tenant"], aliases):
            self._handle(aliases, options)

    def _handle(self, aliases: list[str], options: dict[str, Any]) -> None:
        histories = [history for history in map(history_of, aliases) if history.is_on]
        if not histories:
            raise CommandError(
                f"No profiles are kept of {_list(aliases)}: the option profile_history is 0. Set it to a number of "
                'profiles in DATABASES[...]["OPTIONS"].'
            )
        if (options["follow"] or options["clear"]) and (options["since"] or options["limit"]):
            raise CommandError("--since and --limit choose among past profiles; --follow and --clear take neither.")
        run = _Run(self, histories, options)
        if options["clear"]:
            run.clear()
        elif options["follow"]:
            run.follow()
        else:
            run.show()


class _Run:
    """One run of the command."""

    def __init__(self, command: Command, histories: Sequence[ProfileHistory], options: dict[str, Any]) -> None:
        self._command = command
        self._histories = histories
        self._options = options
        self._model = label_of_model(options["model"]) if options["model"] else None
        color = False if options["no_color"] else True if options["force_color"] else None
        stream: Any = command.stdout
        self._console = console_of(stream._out, color=color)

    def clear(self) -> None:
        """Empty the histories."""
        for history in self._histories:
            try:
                history.clear()
            except HistoryUnavailable as error:
                raise CommandError(str(error)) from error
            if self._options["verbosity"] > 0:
                self._command.stdout.write(f"Cleared the history of database {history.alias!r}.")

    def show(self) -> None:
        """What the histories hold. Raises CommandError when one could not be read."""
        age: timedelta | None = self._options["since"]
        since = datetime.now(UTC) - age if age is not None else None
        pages = [
            (each, each.read(since=since, limit=self._options["limit"], selection=self._selection(each)))
            for each in self._histories
        ]
        if self._options["json"]:
            shown = [_as_json(history, page) for history, page in pages]
            self._command.stdout.write(json.dumps({"databases": shown}, indent=2))
        else:
            for history, page in pages:
                self._show(history, page)
        problems = [problem for history, page in pages if (problem := _problem(history, page))]
        if problems:
            raise CommandError("\n".join(problems))

    def follow(self) -> None:
        """Profiles as they come, until SIGINT or SIGTERM."""
        with ended_by_sigterm(), suppress(KeyboardInterrupt):
            self._follow()

    def _show(self, history: ProfileHistory, page: HistoryPage) -> None:
        all_of_them = self._options["verbosity"] > 1
        listed = LISTED if self._singles and not all_of_them else 0
        show(self._console, history.alias, page, slow_ms=history.options.slow_ms, listed=listed)
        if all_of_them:
            show_blocks(self._console, page.profiles)

    def _follow(self) -> None:
        news = {history: history.news() for history in self._histories}
        known: dict[ProfileHistory, datetime | None] = dict.fromkeys(self._histories)
        while True:
            for history, latest in news.items():
                if latest.unavailable_since != known[history]:
                    known[history] = latest.unavailable_since
                    self._tell_outage(history, latest.unavailable_since)
                for profile in filter(self._selection(history).takes, latest.profiles):
                    self._tell(profile)
            if not any(latest.profiles for latest in news.values()):
                time.sleep(EVERY)
            news = {history: history.news(latest.position) for history, latest in news.items()}

    def _tell(self, profile: QueryProfile) -> None:
        if self._options["json"]:
            self._command.stdout.write(json.dumps(profile.as_dict()))
            self._command.stdout.flush()
        else:
            self._console.print(line_of(profile), soft_wrap=True)

    def _tell_outage(self, history: ProfileHistory, since: datetime | None) -> None:
        if since is None:
            text = f"Redis (cache {history.options.cache!r}) answers again."
        else:
            text = f"Redis (cache {history.options.cache!r}) cannot be reached; profiles come when it answers again."
        self._command.stderr.write(text)

    @property
    def _singles(self) -> bool:
        """Whether statements are looked for that are worth a look one by one."""
        return self._options["slow"] is not None or self._options["fallbacks"] or self._options["full_scans"]

    def _selection(self, history: ProfileHistory) -> Selection:
        slow: float | None = self._options["slow"]
        return Selection(
            method=self._options["method"],
            model=self._model,
            slow_ms=history.options.slow_ms if slow == _AS_CONFIGURED else slow,
            fallbacks=self._options["fallbacks"],
            full_scans=self._options["full_scans"],
        )


def _as_json(history: ProfileHistory, page: HistoryPage) -> dict[str, Any]:
    since = page.unavailable_since
    return {
        "database": history.alias,
        "source": page.source,
        "unavailable_since": since.isoformat() if since is not None else None,
        "problem": page.problem,
        "dropped": page.dropped,
        "summary": page.summary(history.options.slow_ms).as_dict(),
        "profiles": [
            {**profile.as_dict(), "weight": weight} for profile, weight in zip(page.profiles, page.weights, strict=True)
        ],
    }


def _problem(history: ProfileHistory, page: HistoryPage) -> str | None:
    """What keeps the profiles of other processes from being seen, and what to do."""
    if page.source == "redis":
        return None
    if history.options.cache is None:
        return (
            f"Database {history.alias!r} has no cache, so each process keeps its profiles to itself, and this one has "
            "run no statements. Set the option cache to an alias of a Redis; until then look at them in the admin."
        )
    return (
        f"Redis (cache {history.options.cache!r}) cannot be used: {page.problem}. The profiles of other processes "
        "cannot be seen; they keep them until it answers. Bring Redis back, then run sb_profile again."
    )


def _list(aliases: Sequence[str]) -> str:
    return ", ".join(f"database {alias!r}" for alias in aliases)


def _age(text: str) -> timedelta:
    found = _AGE.fullmatch(text)
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no age; write a number and a unit: 45s, 30m, 1h, 2d, 1w")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is not a number of profiles above 0")
    return int(text)


def _milliseconds(text: str) -> float:
    try:
        duration = float(text)
    except ValueError:
        duration = -1.0
    if not 0 <= duration < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number of milliseconds, 0 or more")
    return duration
