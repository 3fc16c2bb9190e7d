"""``python -m benchmarks``: measure, print, and keep what can be used again under ``.cache/bench``."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import costs, documents, estimate, flat, machine
from benchmarks.bulk_reads import ROUNDS, bulk_reads
from benchmarks.bulk_writes import bulk_writes
from benchmarks.engines import Place
from benchmarks.kept import CACHE, SizeResults, digest_of_code
from benchmarks.memory import footprints
from benchmarks.operations import OPERATIONS
from benchmarks.peers import Task, measured
from benchmarks.report import Results, as_json, as_text
from benchmarks.requests import requests
from benchmarks.restart import restart
from testproject.services import RedisServer, end_orderly

MEMORY = "memory"
RESTART = "restart"
COSTS = "costs"
REQUESTS = "requests"
BULK_READS = "bulk-reads"
BULK_WRITES = "bulk-writes"
DESCRIPTION = """\
Measure smarterbase on files with a Redis of its own, side by side with Django on a SQLite file, Django on PostgreSQL,
everything in Redis by hand, smarterbase on an S3 server, and a boto3 loop; what is not installed is left out, and the
report says why.

For each size a process of its own has all engines as aliases, so that they share interpreter, models and caches. The
same statement runs on each in turn, each round beginning with another engine, so that whatever else the machine does
hits all of them; the answers are compared. The tables show medians. Reads come from the page cache, as for the other
engines. What is slow is measured less often, at least once.
"""
EPILOG = """\
kept under .cache/bench (make clean removes it):
  the data of each size, and each result as soon as there is one. A run that was interrupted goes on where it was;
  results count for as long as the code stays the same. --again measures anew.

writes:
  smarterbase syncs each document and its folder by default, SQLite is measured with synchronous=FULL (its default) in
  rollback-journal and in WAL mode, PostgreSQL with its defaults: compare these. The columns "no fsync" and "sync OFF"
  show what is left when nobody waits for the disk: compare these two.

examples:
  python -m benchmarks --sizes 1000 --rounds 50       a first impression
  python -m benchmarks --only get author count        the fast reads alone
  python -m benchmarks --sizes 1000 10000 100000 1000000 --write-docs
  python -m benchmarks --only costs                   requests and dollars on S3, for each operation
  python -m benchmarks --only memory                  what goes over 2,000 and over 200,000 documents
  python -m benchmarks --only restart                 what is left of it when Redis restarts with its data
  python -m benchmarks --only requests                what queries over 100,000 documents ask S3 and Redis for
  python -m benchmarks --only bulk-reads              documents of S3 a second of CPU time, by obstore and by boto3
  python -m benchmarks --only bulk-writes             many documents written at once, beside one after the other, on S3
  make bench ARGS="--json" > figures.json
"""


def main() -> int:
    """Run what the command line asks for; exit status 0, whatever the figures are, and 1 when a size was not ended."""
    options = _options()
    end_orderly()
    results = Results()
    ended = _measure_sizes(options, results)
    _measure_apart(options, results)
    if COSTS in options.only:
        _say(f"counting the requests of {costs.DOCUMENTS:,} articles on S3")
        results.costs = costs.measured()
    if REQUESTS in options.only:
        _say(f"counting the requests of queries over {10 * options.documents:,} articles on S3")
        results.requests = requests(10 * options.documents)
    if BULK_READS in options.only:
        _say("reading from rclone's S3 server through obstore and through boto3")
        results.readings = bulk_reads(min(options.rounds, ROUNDS))
    if BULK_WRITES in options.only:
        _say("writing to a stand-in for S3, singly and in bulk (two minutes)")
        results.rates = bulk_writes()
    print(as_json(results) if options.json else as_text(results))
    if options.write_docs:
        for path in documents.write(results):
            _say(f"wrote {path}")
    return 0 if ended else 1


def _measure_sizes(options: argparse.Namespace, results: Results) -> bool:
    only = tuple(operation.key for operation in OPERATIONS if operation.key in options.only)
    if not only:
        return True
    code, ended = digest_of_code(), True
    tasks = [
        Task(documents, options.rounds, options.budget, only, code, str(options.folder)) for documents in options.sizes
    ]
    if options.again:
        for task in tasks:
            task.results.unlink(missing_ok=True)
    _say(f"this is going to take {estimate.words(sum(map(estimate.seconds, tasks)) + estimate.of_growth(tasks))}")
    for task in tasks:
        try:
            results.sizes.append(measured(task))
        except subprocess.CalledProcessError as error:
            _say(f"{task.documents:,} documents: ended with status {error.returncode}; what was measured is kept")
            results.sizes.append(SizeResults.kept(task.results, task.documents, code))
            ended = False
        results.facts |= results.sizes[-1].facts
    if ended:
        results.growths = flat.measured(options.folder, options.sizes, only, options.rounds, options.budget)
    return ended


def _measure_apart(options: argparse.Namespace, results: Results) -> None:
    """What is measured in processes that do nothing else, over ``--documents`` and ten times as many."""
    if not {MEMORY, RESTART} & set(options.only):
        return
    with tempfile.TemporaryDirectory(prefix="smarterbase-bench-") as folder, RedisServer() as server:
        place = Place(folder, server.url)
        place.configure()
        results.facts |= machine.facts(folder, [])
        if MEMORY in options.only:
            sizes = (options.documents // 5, 20 * options.documents)
            results.footprints += footprints(place, sizes, _say)
        if RESTART in options.only:
            _say(f"reindexing {10 * options.documents:,} documents before and after a restart of Redis")
            results.restarts.append(restart(place, server, 10 * options.documents))


def _options() -> argparse.Namespace:
    keys = [*(operation.key for operation in OPERATIONS), MEMORY, RESTART, COSTS, REQUESTS, BULK_READS, BULK_WRITES]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[10_000], metavar="N", help="articles, one size after the other (10000)"
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=300,
        metavar="N",
        help="rounds of the fast reads (default %(default)s); slower operations take a fixed share of them",
    )
    parser.add_argument(
        "--budget",
        type=float,
        default=60,
        metavar="SECONDS",
        help="what an operation over a size may take, however many rounds are left (default %(default)g)",
    )
    parser.add_argument("--only", nargs="+", choices=keys, default=keys, metavar="KEY", help=", ".join(keys))
    parser.add_argument(
        "--documents", type=int, default=10_000, metavar="N", help="for memory and restart (default %(default)s)"
    )
    parser.add_argument("--again", action="store_true", help="forget the results of these sizes, and measure anew")
    parser.add_argument("--folder", type=Path, default=CACHE, help="where data and results are kept (.cache/bench)")
    parser.add_argument(
        "--write-docs", action="store_true", help="put tables and plot of this run into the documents (docs/)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON in place of the tables")
    options = parser.parse_args()
    if min(options.sizes) < 300 or options.rounds < 1:
        parser.error("--sizes must be 300 or more, and --rounds 1 or more")
    options.sizes.sort()
    return options


def _say(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
