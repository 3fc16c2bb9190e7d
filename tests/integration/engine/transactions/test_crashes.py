"""Processes killed with -9 in the middle of a commit: what others see afterwards is whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

READER = """
import sys
from tests.integration.engine.transactions.writer import configure
configure(sys.argv[1])
from django.contrib.auth.models import User
from django.db import connection, IntegrityError
from django.db.models import F
from testproject.articles.models import Article, Author
import json
if sys.argv[2] == "setup":
    author = Author.objects.create(name="author")
    for title in ("first", "second", "third", "fourth"):
        Article.objects.create(author=author, category="c", title=title, body="", view_count=100)
elif sys.argv[2] == "recover":
    print(connection.session.recovery.recover(connection.catalog.find))
elif sys.argv[2] == "add":
    print(Article.objects.filter(title=sys.argv[3]).update(view_count=F("view_count") + 1))
elif sys.argv[2] == "look":
    print(json.dumps({
        "views": dict(Article.objects.values_list("title", "view_count")),
        "authors": list(Author.objects.values_list("name", flat=True)),
        "intents": connection.session.recovery.unfinished(),
    }))
elif sys.argv[2] == "user":
    try:
        User.objects.create(username=sys.argv[3])
        print("created")
    except IntegrityError:
        print("refused")
"""

BEFORE = {"first": 100, "second": 100, "third": 100, "fourth": 100}
AFTER = {"first": 70, "second": 110, "third": 110, "fourth": 110, "added": 0}


def read(folder: Path, *arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", READER, str(folder), *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    return result.stdout.strip()


def write(folder: Path, *arguments: str, crash_at: str = "") -> int:
    environment = {**os.environ, "SMARTERBASE_CRASH_AT": crash_at}
    command = [sys.executable, "-m", "tests.integration.engine.transactions.writer", str(folder), *arguments]
    return subprocess.run(command, env=environment, timeout=60, check=False).returncode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    read(tmp_path, "setup")
    return tmp_path


@pytest.mark.parametrize(
    ("step", "whole"),
    [
        ("intent-written", AFTER),
        ("put:1", AFTER),
        ("put:2", AFTER),
        ("intent-removed", AFTER),
    ],
)
def test_transaction_is_whole_after_recovery_when_its_process_was_killed(
    folder: Path, step: str, whole: dict[str, int]
) -> None:
    assert write(folder, "transfer", crash_at=step) == -signal.SIGKILL
    assert int(read(folder, "recover")) == (0 if step == "intent-removed" else 1)
    seen = json.loads(read(folder, "look"))
    assert seen == {"views": whole, "authors": ["renamed"], "intents": []}


def test_transaction_leaves_no_trace_when_its_process_was_killed_before_the_intent(folder: Path) -> None:
    before = json.loads(read(folder, "look"))
    assert before == {"views": BEFORE, "authors": ["author"], "intents": []}
    assert write(folder, "transfer") == 0
    assert json.loads(read(folder, "look")) == {"views": AFTER, "authors": ["renamed"], "intents": []}


def test_transaction_is_taken_back_when_a_document_was_changed_after_the_crash(folder: Path) -> None:
    """The killed process had written nothing but its intent, and another has changed one of the documents since."""
    assert write(folder, "transfer", crash_at="intent-written") == -signal.SIGKILL
    (author,) = (folder / "site" / "authors").glob("*.json")
    document = json.loads(author.read_text())
    author.write_text(json.dumps({**document, "name": "somebody else", "_rev": "another"}))
    assert int(read(folder, "recover")) == 1
    assert json.loads(read(folder, "look")) == {"views": BEFORE, "authors": ["somebody else"], "intents": []}


def test_writer_completes_the_transaction_of_a_dead_process_before_it_builds_on_it(folder: Path) -> None:
    assert write(folder, "transfer", crash_at="put:1") == -signal.SIGKILL
    assert read(folder, "add", "second") == "1"
    views = {**AFTER, "second": AFTER["second"] + 1}
    assert json.loads(read(folder, "look")) == {"views": views, "authors": ["renamed"], "intents": []}


def test_taking_back_leaves_alone_what_was_changed_by_other_means(folder: Path) -> None:
    """An article that the dead process had changed was edited by hand, and another document is in conflict."""
    assert write(folder, "transfer", crash_at="put:1") == -signal.SIGKILL
    edited = 0
    for path in (folder / "site").glob("a*/*.json"):
        document = json.loads(path.read_text())
        if document.get("title") == "second":
            path.write_text(json.dumps({**document, "view_count": 5, "_rev": "by hand"}))
            edited += 1
        elif "name" in document:
            path.write_text(json.dumps({**document, "name": "somebody else", "_rev": "another"}))
            edited += 1
    assert edited == 2
    assert int(read(folder, "recover")) == 1
    views = {**BEFORE, "second": 5}
    assert json.loads(read(folder, "look")) == {"views": views, "authors": ["somebody else"], "intents": []}


@pytest.mark.parametrize("step", ["begun"])
def test_unique_value_is_free_again_when_its_writer_was_killed_before_the_document(tmp_path: Path, step: str) -> None:
    assert write(tmp_path, "user", "ann", crash_at=step) == -signal.SIGKILL
    assert read(tmp_path, "user", "ann") == "created"
    assert read(tmp_path, "user", "ann") == "refused"


def test_unique_value_is_taken_when_its_writer_was_killed_after_the_document(tmp_path: Path) -> None:
    assert write(tmp_path, "user", "ann", crash_at="put") == -signal.SIGKILL
    assert read(tmp_path, "user", "ann") == "refused"
