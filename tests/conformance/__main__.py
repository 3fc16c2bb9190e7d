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

from testproject.services import end_orderly
from tests.conformance import document, report
from tests.conformance.comparison import compare
from tests.conformance.kept import Kept, engine_state, harness_state
from tests.conformance.outcomes import AppRun
from tests.conformance.pace import Pace
from tests.conformance.runs import Column, Plan, Storage, end_all, events_of, run_app
from tests.conformance.source import CACHE, SourceError, directory_of_tests
from tests.conformance.survey import apps_with_database

#: What is run on S3 when no app is named: each kind of statement, of transaction and of relation.
S3_APPS = (
    "basic",
    "bulk_create",
    "composite_pk",
    "custom_pk",
    "defer",
    "delete",
    "get_or_create",
    "lookup",
    "m2m_through",
    "many_to_many",
    "many_to_one",
    "one_to_one",
    "ordering",
    "raw_query",
    "select_for_update",
    "select_related",
    "sessions_tests",
    "transactions",
    "update",
)
SHOWN = 20

DESCRIPTION = """\
Runs Django's own test suite on stock SQLite and on this engine: with Redis, without one, and with one that is killed
and started empty every two seconds. Prints what each made of the tests. A test is lost when stock SQLite passes it and
the engine does not: failed, in error, expected to fail, not run, or skipped for any reason but one of those that
django_smarterbase/backend/features.py states. So is one that passes although it is expected to fail.

Without apps every app runs whose tests declare a database (Django's own test runner is asked which), and
docs/CONFORMANCE.md is written from the results; with --storage s3 a selection."""

EPILOG = """\
What makes the figures mean something:
  - the commit set-up: the data of each test class is really committed, and flushed after the class (stock SQLite runs
    the same way; --check-setup shows that this costs it no pass);
  - reload: the engine empties its workspace after every statement, inside transactions too. RELOAD=0 in the
    environment turns this off.

Each app runs in processes of its own, each with its own Redis. The tests come from the source distribution of the
installed Django, fetched by pip into .cache/conformance/ when it is not there.

Results are kept in .cache/conformance/results/, by app, column, storage, version of Django and state of the code. A
run that was interrupted goes on where it stopped, and what has been run with the present code is not run again, unless
--fresh is given. Output, events (JSON lines) and the log of lost tests of one command stand in
.cache/conformance/<time>/ and <time>.log.

Exit status: 0 nothing lost, 1 tests lost or runs broken, 2 bad usage or no Django source.

examples:
  python -m tests.conformance basic lookup                           two apps, all columns
  python -m tests.conformance                                        everything, and docs/CONFORMANCE.md
  python -m tests.conformance --only outages --fresh transactions    once more, whatever is kept
  python -m tests.conformance --document                             docs/CONFORMANCE.md from what is kept
  python -m tests.conformance --storage s3                           a selection, on an S3 server
  RELOAD=0 python -m tests.conformance --only redis --storage files queries
"""

_ONLY = {"redis": Column.REDIS, "no-cache": Column.NO_CACHE, "outages": Column.OUTAGES, "sqlite": None}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    formatter = argparse.RawDescriptionHelpFormatter
    made = argparse.ArgumentParser("tests.conformance", None, DESCRIPTION, EPILOG, formatter_class=formatter)
    made.add_argument("apps", nargs="*", metavar="app", help="directories of Django's tests (default: see above)")
    made.add_argument(
        "--only",
        choices=list(_ONLY),
        help="one column of the engine beside stock SQLite, or stock SQLite alone (default: all)",
    )
    made.add_argument(
        "--check-setup", action="store_true", help="also run SQLite without the commit set-up, and compare"
    )
    made.add_argument(
        "--storage",
        choices=list(Storage),
        type=Storage,
        default=Storage.MEMORY,
        help="where objects live; s3 is moto's server (default: memory)",
    )
    made.add_argument("--fresh", action="store_true", help="run again what is kept for the present code, too")
    made.add_argument(
        "--document",
        action="store_true",
        help="run nothing, and write docs/CONFORMANCE.md from what is kept; results of earlier code are marked",
    )
    made.add_argument("--jobs", type=int, default=2, help="processes side by side (default: %(default)s)")
    made.add_argument("--timeout", type=float, default=1800, help="seconds for one process (default: %(default)g)")
    made.add_argument("--source", type=Path, help="an unpacked source distribution of the installed Django")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Returns its exit status."""
    arguments = arguments_of(argv)
    try:
        tests = directory_of_tests(arguments.source)
        apps = list(dict.fromkeys(arguments.apps)) or default_apps(tests, arguments.storage)
    except SourceError as error:
        print(error, file=sys.stderr)
        return 2
    unknown = [app for app in apps if not (tests / app.partition(".")[0] / "__init__.py").is_file()]
    if unknown:
        print(f"Django {django.__version__} has no test app {', '.join(unknown)} in {tests}.", file=sys.stderr)
        return 2
    output = CACHE / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}"
    output.mkdir(parents=True)
    reload = os.environ.get("RELOAD", "1") != "0"
    kept = Kept(CACHE / "results", Plan(tests, output, arguments.storage, reload, arguments.timeout))
    columns = columns_of(arguments)
    results: report.Results = {app: {} for app in apps}
    if not arguments.document:
        if arguments.fresh:
            forget(kept, apps, columns)
        results = run_all(kept, apps, columns, arguments.jobs)
    if not arguments.apps and reload and arguments.storage in document.SECTIONS:
        results = write_document(kept, results)
    return conclude(results, output.with_suffix(".log"))


def arguments_of(argv: Sequence[str] | None) -> argparse.Namespace:
    """The parsed command line. Ends with status 2 when it makes no sense."""
    made = parser()
    arguments = made.parse_args(argv)
    if arguments.document and (arguments.apps or arguments.fresh):
        made.error("--document runs nothing: it takes neither apps nor --fresh.")
    if arguments.document and arguments.storage not in document.SECTIONS:
        made.error(f"docs/CONFORMANCE.md has no section for the storage {arguments.storage}.")
    return arguments


def default_apps(tests: Path, storage: Storage) -> list[str]:
    """What is run when no app is named. Raises SourceError."""
    return list(S3_APPS) if storage is Storage.S3 else apps_with_database(tests)


def columns_of(arguments: argparse.Namespace) -> list[Column]:
    """The columns that the command line asks for, stock SQLite always among them."""
    chosen = [Column.PLAIN] if arguments.check_setup else []
    chosen.append(Column.STOCK)
    asked = [column for column in Column if column.engine] if arguments.only is None else [_ONLY[arguments.only]]
    return chosen + [column for column in asked if column is not None]


def forget(kept: Kept, apps: Sequence[str], columns: Sequence[Column]) -> None:
    """Have everything run anew."""
    for app in apps:
        for column in columns:
            kept.forget(app, column)


def run_all(kept: Kept, apps: Sequence[str], columns: Sequence[Column], jobs: int) -> report.Results:
    """Have a result of every app in every column, ``jobs`` at a time, with a line of progress for each run."""
    found = {(app, column): kept.find(app, column) for app in apps for column in columns}
    results: dict[str, dict[Column, AppRun]] = {
        app: {column: run for column in columns if (run := found[app, column])} for app in apps
    }
    missing = [key for key, run in found.items() if run is None]
    print(
        f"{len(found) - len(missing)} of {len(found)} results are kept from earlier, {len(missing)} to go.", flush=True
    )
    pace = Pace({key: kept.seconds(*key) for key in missing})
    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(run_and_keep, kept, app, column): (app, column) for app, column in missing}
        for number, (app, column, run) in enumerate(_finished(futures), start=1):
            results[app][column] = run
            pace.ended((app, column))
            stock = results[app].get(Column.STOCK)
            compared = compare(stock, run) if column.engine and stock else None
            progress = f"[{number}/{len(missing)}] {app} on {column}: {report.summary(run, compared)}; {pace}"
            print(progress, flush=True)
    return results


def run_and_keep(kept: Kept, app: str, column: Column) -> AppRun:
    """Run an app in a column, and keep what it came to if it reached its end."""
    run = run_app(kept.plan, app, column)
    if not run.broken:
        kept.keep(column, run, events_of(kept.plan, app, column))
    return run


def _finished(futures: dict[Future[AppRun], tuple[str, Column]]) -> Iterator[tuple[str, Column, AppRun]]:
    try:
        for future in as_completed(futures):
            yield *futures[future], future.result()
    except BaseException:
        # Ctrl-C, SIGTERM or a Redis that does not start: what has not begun need not begin.
        for future in futures:
            future.cancel()
        end_all()
        raise


def write_document(kept: Kept, results: report.Results) -> report.Results:
    """Write the section of docs/CONFORMANCE.md from these results and from those that are kept. Returns both."""
    plan = kept.plan
    shown = {
        app: {column: run for column in Column if (run := runs.get(column) or kept.latest(app, column))}
        for app, runs in results.items()
    }
    state = f"{engine_state()}-{harness_state()}"
    document.write(shown, document.Facts(plan.storage, command_of(plan, shown), state, datetime.now(UTC).date()))
    print(f"Written: {document.DOCUMENT}")
    return shown


def command_of(plan: Plan, results: report.Results) -> str:
    """The command that has these results."""
    columns = {column for runs in results.values() for column in runs if column.engine}
    arguments = [] if plan.storage is Storage.MEMORY else [f"--storage {plan.storage}"]
    arguments += [f"--only {name}" for name, column in _ONLY.items() if columns == {column}]
    return f'make conformance ARGS="{" ".join(arguments)}"' if arguments else "make conformance"


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
    if unknown := report.unknown_lines(results):
        print("\n".join(["Skips in features.py that name no test of Django:", *(f"  {line}" for line in unknown)]))
    if broken:
        print("\n".join(["Broken runs:", *(f"  {line}" for line in broken)]))
    if lost:
        log.write_text(report.log(compared), encoding="utf-8")
        shown = [f"  {line}" for line in lost[:SHOWN]]
        print("\n".join([f"Lost: {len(lost)} ({min(SHOWN, len(lost))} shown, all with tracebacks in {log})", *shown]))
    elif compared:
        print("Nothing is lost.")
    return 1 if lost or broken or unknown or any(setup.values()) else 0


if __name__ == "__main__":
    end_orderly()
    sys.exit(main())
