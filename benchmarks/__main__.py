"""``python -m benchmarks``: set everything up in a temporary folder, measure, print, and leave nothing behind."""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace

from benchmarks import counts, dataset, machine, postgres
from benchmarks.bulk_reads import bulk_reads
from benchmarks.bulk_writes import bulk_writes
from benchmarks.engines import Place, aliases
from benchmarks.memory import footprint
from benchmarks.operations import OPERATIONS
from benchmarks.report import Results, as_json, as_text
from benchmarks.restart import restart
from benchmarks.rounds import measure
from testproject.services import RedisServer, end_orderly

MEMORY = "memory"
RESTART = "restart"
BULK_READS = "bulk-reads"
BULK_WRITES = "bulk-writes"
DESCRIPTION = """\
Measure smarterbase on files with a Redis of its own, side by side with Django on a SQLite file and, where it is
installed, PostgreSQL on this machine.

All engines are aliases of one process, so that they share interpreter, models and caches. The same statement runs on
each in turn, each round beginning with another engine, so that whatever else the machine does hits all of them; the
answers are compared. The tables show medians. Reads come from the page cache, as for the other engines.
"""
EPILOG = """\
writes:
  smarterbase syncs each document and its folder by default, SQLite is measured with synchronous=FULL (its default) in
  rollback-journal and in WAL mode, PostgreSQL with its defaults: compare these. The columns "no fsync" and "sync OFF"
  show what is left when nobody waits for the disk: compare these two.

examples:
  python -m benchmarks --only get author count      the fast reads alone, in a few seconds
  python -m benchmarks --documents 1000 --rounds 50 a first impression
  python -m benchmarks --only memory                a reindex of 10,000 and of 100,000 documents
  python -m benchmarks --only restart               what is left of it when Redis restarts with its data
  python -m benchmarks --only bulk-reads            documents of S3 a second of CPU time, by obstore and by boto3
  python -m benchmarks --only bulk-writes           many documents written at once, beside one after the other, on S3
  make bench ARGS="--json" > figures.json
"""


def main() -> int:
    """Run what the command line asks for; exit status 0, whatever the figures are."""
    options = _options()
    end_orderly()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="smarterbase-bench-", dir=options.folder))
        server = stack.enter_context(RedisServer())
        place = Place(folder, server.url)
        absent = postgres.missing()
        if absent is None:
            place = replace(place, postgres_port=stack.enter_context(postgres.PostgresServer()).port)
        place.configure()
        stack.callback(_close)
        chosen = tuple(operation for operation in OPERATIONS if operation.key in options.only)
        results = Results(machine.facts(folder), options.documents, options.rounds, chosen)
        if absent is not None:
            results.left_out.append(f"PostgreSQL, since {absent}.")
        if chosen:
            _say(f"filling every engine with {options.documents} articles")
            dataset.fill_all(place, options.documents)
            results.timings = measure(chosen, aliases(), documents=options.documents, rounds=options.rounds, say=_say)
            # Last, since what it creates and updates is on one engine only.
            results.counts = counts.count(chosen, options.documents)
        if MEMORY in options.only:
            for documents in (options.documents, 10 * options.documents):
                _say(f"reindexing {documents} documents in a process of its own")
                results.footprints.append(footprint(place, documents))
        if RESTART in options.only:
            _say(f"reindexing {10 * options.documents} documents before and after a restart of Redis")
            results.restarts.append(restart(place, server, 10 * options.documents))
        if BULK_READS in options.only:
            _say("reading from rclone's S3 server through obstore and through boto3")
            results.readings = bulk_reads()
        if BULK_WRITES in options.only:
            _say("writing to a stand-in for S3, singly and in bulk (two minutes)")
            results.rates = bulk_writes()
        print(as_json(results) if options.json else as_text(results))
    return 0


def _options() -> argparse.Namespace:
    keys = [*(operation.key for operation in OPERATIONS), MEMORY, RESTART, BULK_READS, BULK_WRITES]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--documents", type=int, default=10_000, metavar="N", help="articles (default %(default)s)")
    parser.add_argument(
        "--rounds",
        type=int,
        default=300,
        metavar="N",
        help="rounds of the fast reads (default %(default)s); slower operations take a fixed share of them",
    )
    parser.add_argument("--only", nargs="+", choices=keys, default=keys, metavar="KEY", help=", ".join(keys))
    parser.add_argument("--folder", help="where the files go (default: the system's temporary folder)")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the tables")
    options = parser.parse_args()
    if options.documents < 300 or options.rounds < 1:
        parser.error("--documents must be 300 or more, and --rounds 1 or more")
    return options


def _say(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)


def _close() -> None:
    from django.db import connections

    connections.close_all()


if __name__ == "__main__":
    sys.exit(main())
