"""A project of its own with an SQL database for some models and objects for others, by its commands only."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testproject.services import RedisServer

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "tests" / "acceptance" / "two_databases"
DEADLINE = 120  # seconds

Manage = Callable[..., str]


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """A Redis of the project's own."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project in a folder where it may write its migrations and databases."""
    return Path(shutil.copytree(PROJECT, tmp_path_factory.mktemp("two") / "project"))


@pytest.fixture(scope="module")
def manage(project: Path, redis: RedisServer) -> Manage:
    """Runs ``manage.py``; returns what it prints."""

    def run(*arguments: str) -> str:
        path = os.pathsep.join((str(project), str(ROOT)))
        environment = {**os.environ, "PYTHONPATH": path, "SITE_REDIS": redis.url, "PYTHONWARNINGS": "error"}
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def migrated(manage: Manage) -> Manage:
    """The project with its migrations made and applied to each database."""
    made = manage("makemigrations", "crm", "library")
    assert "+ Create model Customer" in made
    assert "+ Create model Loan" in made
    manage("migrate")
    manage("migrate", "--database", "objects")
    return manage


def test_checks_find_nothing(manage: Manage) -> None:
    assert "no issues" in manage("check", "--database", "default", "--database", "objects")


def test_tables_are_made_in_their_database_only(migrated: Manage, project: Path) -> None:
    connection = sqlite3.connect(project / "db.sqlite3")
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert {"crm_customer", "auth_user", "django_migrations"} <= tables
    assert not {"library_book", "library_loan"} & tables
    made = {path.stem for path in (project / "objects" / "library" / "_sb" / "schema").iterdir()}
    assert made == {"library_book", "library_loan", "django_migrations"}


def test_migrations_are_complete_and_applied_in_both(migrated: Manage) -> None:
    assert "No changes detected" in migrated("makemigrations", "--check")
    for database in ("default", "objects"):
        assert "[ ]" not in migrated("showmigrations", "--database", database)


def test_commands_are_about_the_models_in_the_database(migrated: Manage) -> None:
    assert "2 tables" in migrated("sb_check", "library")
    assert "[]" in migrated("dumpdata", "library", "--database", "objects")


def test_tests_of_the_project_pass(migrated: Manage) -> None:
    shown = migrated("test", "library")
    assert "OK" in shown
    assert "Ran 11 tests" in shown
