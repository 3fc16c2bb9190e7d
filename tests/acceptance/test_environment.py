"""What the example site takes from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from testproject.environment import VARIABLES, Environment


def test_environment_is_read_back_when_written_to_variables() -> None:
    environment = Environment(
        redis_url="redis://127.0.0.1:1/0",
        redis_timeout=1.5,
        name="n",
        objects=Path("/o"),
        trust_seconds=0.5,
        auto_reindex=False,
        s3_bucket="b",
        secret_key="s",
    )
    assert Environment.read(environment.variables()) == environment


def test_environment_documents_every_variable() -> None:
    from testproject import environment

    assert all(name in (environment.__doc__ or "") for name in VARIABLES.values())


def test_environment_has_no_index_when_redis_is_not_named() -> None:
    environment = Environment.read({"REDIS_URL": ""})
    assert "smarterbase" not in environment.caches()
    assert environment.database()["OPTIONS"]["cache"] is None


def test_environment_says_how_long_redis_is_waited_for() -> None:
    variables = {"REDIS_URL": "redis://127.0.0.1:1/0", "SMARTERBASE_REDIS_TIMEOUT": "3"}
    limits = Environment.read(variables).caches()["smarterbase"]["OPTIONS"]
    assert limits == {"SOCKET_CONNECT_TIMEOUT": 3.0, "SOCKET_TIMEOUT": 3.0}


def test_environment_goes_to_s3_when_a_bucket_is_named() -> None:
    environment = Environment.read({"SMARTERBASE_S3_BUCKET": "b", "SMARTERBASE_WRITE_DEADLINE": "10"})
    storage = environment.storage()
    assert storage["BACKEND"] == "storages.backends.s3.S3Storage"
    assert storage["OPTIONS"]["bucket_name"] == "b"


def test_environment_names_the_variable_when_it_is_no_number() -> None:
    with pytest.raises(ValueError, match="SMARTERBASE_TRUST_SECONDS is 'soon'"):
        Environment.read({"SMARTERBASE_TRUST_SECONDS": "soon"})


def test_environment_names_the_variable_when_it_is_no_switch() -> None:
    with pytest.raises(ValueError, match="SMARTERBASE_AUTO_REINDEX is 'yes'"):
        Environment.read({"SMARTERBASE_AUTO_REINDEX": "yes"})
