"""The command: ``python -m tests.conformance [app ...]``, or ``make conformance APPS="app ..."``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path

import django

from tests.conformance import report
from tests.conformance.comparison import compare
from tests.conformance.outcomes import AppRun
from tests.conformance.runs import Column, Plan, run_app
from tests.conformance.source import CACHE, SourceError, directory_of_tests

DEFAULT_APPS = [
    "basic",
    "lookup",
    "queries",
    "get_or_create",
    "bulk_create",
    "update",
    "delete",
    "ordering",
    "aggregation",
    "annotations",
    "expressions",
    "select_related",
    "prefetch_related",
    "many_to_one",
    "many_to_many",
    "one_to_one",
    "m2m_through",
    "model_forms",
    "model_inheritance",
    "custom_pk",
    "defer",
    "raw_query",
    "transactions",
    "sessions_tests",
]
SHOWN = 20

DESCRIPTION = """\
Runs apps of Django's own test suite on stock SQLite and on this engine, with Redis and without, and prints what each
made of them. A test is lost when stock SQLite passes it and the engine does not: failed, in error, expected to fail,
not run, or skipped for any reason but one of those that django_smarterbase/backend/features.py states."""

EPILOG = """\
What makes the figures mean something:
  - the commit set-up: the data of each test class is really committed, and flushed after the class (stock SQLite runs
    the same way; --check-setup shows that this costs it no pass);
  - reload: the engine empties its workspace after every statement, inside transactions too. RELOAD=0 in the
    environment turns this off.

Each app runs in processes of its own, each with its own Redis. The tests come from the source distribution of the
installed Django, fetched by pip into .cache/conformance/ when it is not there.
Output, events (JSON lines) and the log of lost tests are kept in .cache/conformance/<time>/ and <time>.log.

Exit status: 0 nothing lost, 1 tests lost or runs broken, 2 bad usage or no Django source.

examples:
  python -m tests.conformance basic lookup
  RELOAD=0 python -m tests.conformance --only redis --storage files queries
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    formatter = argparse.RawDescriptionHelpFormatter
    made = argparse.ArgumentParser("tests.conformance", None, DESCRIPTION, EPILOG, formatter_class=formatter)
    made.add_argument("apps", nargs="*", metavar="app", help=f"directories of Django's tests; {' '.join(DEFAULT_APPS)}")
    made.add_argument(
        "--only",
        choices=["redis", "no-cache", "sqlite"],
        help="one column of the engine beside stock SQLite, or stock SQLite alone (default: all)",
    )
    made.add_argument(
        "--check-setup", action="store_true", help="also run SQLite without the commit set-up, and compare"
    )
    made.add_argument(
        "--storage", choices=["memory", "files"], default="memory", help="where objects live (default: memory)"
    )
    made.add_argument("--jobs", type=int, default=2, help="processes side by side (default: %(default)s)")
    made.add_argument("--timeout", type=float, default=600, help="seconds for one process (default: %(default)g)")
    made.add_argument("--source", type=Path, help="an unpacked source distribution of the installed Django")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns its exit status."""
    arguments = parser().parse_args(argv)
    apps = list(dict.fromkeys(arguments.apps or DEFAULT_APPS))
    try:
        tests = directory_of_tests(arguments.source)
    except SourceError as error:
        print(error, file=sys.stderr)
        return 2
    unknown = [app for app in apps if not (tests / app / "__init__.py").is_file()]
    if unknown:
        print(f"Django {django.__version__} has no test app {', '.join(unknown)} in {tests}.", file=sys.stderr)
        return 2
    output = CACHE / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"
    output.mkdir(parents=True)
    reload = os.environ.get("RELOAD", "1") != "0"
    plan = Plan(tests, output, arguments.storage == "files", reload, arguments.timeout)
    results = run_all(plan, apps, columns_of(arguments), arguments.jobs)
    return conclude(results, output.with_suffix(".log"))


def columns_of(arguments: argparse.Namespace) -> list[Column]:
    """The columns that the command line asks for, stock SQLite always among them."""
    chosen = [Column.PLAIN] if arguments.check_setup else []
    chosen.append(Column.STOCK)
    if arguments.only in (None, "redis"):
        chosen.append(Column.REDIS)
    if arguments.only in (None, "no-cache"):
        chosen.append(Column.NO_CACHE)
    return chosen


def run_all(plan: Plan, apps: Sequence[str], columns: Sequence[Column], jobs: int) -> report.Results:
    """Run every app in every column, ``jobs`` at a time, with a line of progress for each run."""
    results: dict[str, dict[Column, AppRun]] = {app: {} for app in apps}
    with ThreadPoolExecutor(jobs) as pool:
        futures: dict[Future[AppRun], tuple[str, Column]] = {
            pool.submit(run_app, plan, app, column): (app, column) for app in apps for column in columns
        }
        for number, (app, column, run) in enumerate(_finished(futures), start=1):
            results[app][column] = run
            stock = results[app].get(Column.STOCK)
            compared = compare(stock, run) if column.engine and stock else None
            progress = f"[{number}/{len(futures)}] {app} on {column}: {report.summary(run, compared)}"
            print(progress, flush=True)
    return results


def _finished(futures: dict[Future[AppRun], tuple[str, Column]]) -> Iterator[tuple[str, Column, AppRun]]:
    try:
        for future in as_completed(futures):
            yield *futures[future], future.result()
    except BaseException:
        # Ctrl-C or a Redis that does not start: what has not begun need not begin.
        for future in futures:
            future.cancel()
        raise


def conclude(results: report.Results, log: Path) -> int:
    """Print the table and what was lost, write the log, and return the exit status."""
    compared = report.comparisons(results)
    broken = report.broken_lines(results)
    setup = report.setup_losses(results)
    lost = report.lost_lines(compared)
    print(f"\n{report.table(results, compared)}\n")
    if setup:
        print(f"Passes that SQLite loses to the commit set-up: {sum(map(len, setup.values()))}")
        print("\n".join(f"  {loss.test}: {loss.detail}" for losses in setup.values() for loss in losses))
    if compared:
        print(f"{report.statements(results)}\n\n{report.accepted(compared)}\n")
    if beyond := report.beyond_lines(compared):
        print("\n".join(["Failing where stock SQLite skips (not counted as lost):", *(f"  {line}" for line in beyond)]))
    if broken:
        print("\n".join(["Broken runs:", *(f"  {line}" for line in broken)]))
    if lost:
        log.write_text(report.log(compared), encoding="utf-8")
        shown = [f"  {line}" for line in lost[:SHOWN]]
        print("\n".join([f"Lost: {len(lost)} ({min(SHOWN, len(lost))} shown, all with tracebacks in {log})", *shown]))
    elif compared:
        print("Nothing is lost.")
    return 1 if lost or broken or any(setup.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
