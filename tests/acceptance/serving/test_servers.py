"""The example site on the servers that sites are deployed on, under load, while Redis comes and goes."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
import requests

from testproject.services import RedisServer, free_port
from tests.faults.tally import TALLY
from tests.serving import DEADLINE, Site, served_by

from . import LINGERING
from .crowd import PEOPLE, Crowd
from .places import Place
from .processes import descendants, sockets
from .servers import GTHREAD, GTHREAD_PRELOADED, SYNC, SYNC_PRELOADED, UVICORN, WORKERS, Kind

TEST = "servers under load"
#: What no server may print: an error, or something that was left open.
_TROUBLE = re.compile(r"Traceback|ResourceWarning: unclosed|Exception ignored|pool is full|\[ERROR\]|\[CRITICAL\]")


@contextmanager
def serving(place: Place, kind: Kind) -> Iterator[Site]:
    """The site, which ends as it should and leaves nothing behind."""
    port = free_port()
    with served_by(kind.command(port), port, place.folder, **place.variables) as site:
        processes = descendants(site.process.pid)
        yield site
        site.process.terminate()
        assert site.process.wait(DEADLINE) == 0
        await_the_end(processes)
    # gunicorn's workers leave the socket open that they listen on.
    own = f"laddr=('127.0.0.1', {port})>"
    assert not [line for line in site.printed.splitlines() if _TROUBLE.search(line) and own not in line]
    assert place.names("_sb/intents/") == []


def await_the_end(processes: list[int]) -> None:
    """They end soon after the one that has started them."""
    until = time.monotonic() + DEADLINE
    while [pid for pid in processes if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < until
        time.sleep(0.05)


def see_what_came_of_it(crowd: Crowd, place: Place, writers: int) -> None:
    """No request has failed, each view is counted once, and each article is there."""
    assert crowd.failures == []
    stored = place.documents("articles")
    assert {pk: document["view_count"] for pk, document in stored.items() if document["view_count"]} == crowd.views
    titles = {document["title"] for document in stored.values() if document["category"] == "news"}
    assert titles == crowd.titles == {f"by {number}" for number in range(writers)}


def crowd_of(site: Site, place: Place) -> Crowd:
    (author,) = place.documents("authors")
    return Crowd(site.url, sorted(place.documents("articles")), author)


def see_that_connections_are_not_shared(site: Site, port: int) -> list[set[int]]:
    """Each process at work has connections of its own to the service on this port; which, process by process.

    One of them may have none for a moment, as the other has taken all that came: it looks until all have some.
    """
    until = time.monotonic() + DEADLINE
    while True:
        held = [sockets(pid, port) for pid in [site.process.pid, *descendants(site.process.pid)]]
        busy = [ports for ports in held if ports]
        assert sum(map(len, busy)) == len(set().union(*busy))
        if len(busy) >= WORKERS:
            return busy
        assert time.monotonic() < until, f"only {len(busy)} of {WORKERS} processes ever asked port {port}"
        time.sleep(0.05)


def see_that_redis_knows_them(busy: list[set[int]], server: RedisServer) -> None:
    client = redis.Redis(port=server.port)
    assert set().union(*busy) <= {int(each["addr"].rpartition(":")[2]) for each in client.client_list()}
    client.close()


def see_that_the_last_request_is_answered(site: Site, place: Place) -> None:
    """SIGTERM comes in the middle of a request."""

    def titles() -> list[str]:
        return sorted(each["title"] for each in place.documents("articles").values() if each["category"] == LINGERING)

    go_on = place.folder / "go on"
    with ThreadPoolExecutor(1) as thread:
        last = thread.submit(requests.get, f"{site.url}/linger/", {"until": str(go_on)}, timeout=DEADLINE)
        until = time.monotonic() + DEADLINE
        while titles() != ["begun"]:
            assert time.monotonic() < until
            time.sleep(0.05)
        site.process.terminate()
        time.sleep(1)  # in which it is told
        go_on.touch()
        assert last.result().status_code == 200
    assert titles() == ["begun", "done"]


@pytest.mark.parametrize("kind", [SYNC, SYNC_PRELOADED, GTHREAD, GTHREAD_PRELOADED, UVICORN], ids=str)
def test_no_request_fails_and_no_view_is_lost_while_redis_is_killed(
    kind: Kind, folder_place: Place, own_redis: RedisServer, torture: bool
) -> None:
    rounds, writers = (30, 50) if torture else (2, 10)
    with serving(folder_place, kind) as site:
        crowd = crowd_of(site, folder_place)
        began = time.monotonic()

        def outage() -> None:
            see_that_redis_knows_them(see_that_connections_are_not_shared(site, own_redis.port), own_redis)
            own_redis.kill()
            time.sleep(1)
            own_redis.start()

        crowd.come(rounds, writers, outage)
        TALLY.note(TEST, f"{kind}: {PEOPLE} people, {crowd.requests} requests in {time.monotonic() - began:.1f} s")
        see_what_came_of_it(crowd, folder_place, writers)
        see_that_the_last_request_is_answered(site, folder_place)


@pytest.fixture
def patience(kind: Kind, torture: bool) -> None:
    """Skip what takes minutes on a small machine: a hundred threads that ask the S3 server of the tests."""
    if kind is UVICORN and not torture:
        pytest.skip("it takes minutes: make torture")


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("kind", [GTHREAD_PRELOADED, UVICORN], ids=str)
def test_no_request_fails_and_no_view_is_lost_on_s3(kind: Kind, bucket_place: Place, own_redis: RedisServer) -> None:
    with serving(bucket_place, kind) as site:
        crowd = crowd_of(site, bucket_place)
        began = time.monotonic()

        def look() -> None:
            for port in (own_redis.port, bucket_place.store_port):
                see_that_connections_are_not_shared(site, port)

        crowd.come(1, 2, look)
        TALLY.note(TEST, f"{kind} on S3: {PEOPLE} people, {crowd.requests} requests, {time.monotonic() - began:.1f} s")
        see_what_came_of_it(crowd, bucket_place, 2)
