"""The parts of Django, and its neighbours, on the engine and on stock SQLite: one set of tests, the same answers.

The tests are in ``parts``. Each module there is run by pytest-django in a process of its own. On the engine, each of
its tests that has a middle is run twice: with Redis, and with Redis killed in the middle.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from testproject.services import S3Server
from tests.acceptance.ecosystem.places import SETTINGS, Place

FOLDER = Path(__file__).parent / "parts"
PARTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in {"__init__", "conftest"})
#: Parts with settings of their own.
OWN_SETTINGS = {"custom_user": f"{SETTINGS}_members"}
#: Parts about what stock SQLite does not have.
ENGINE_ONLY = {"engine"}
#: What is worth its time on S3: part, and the names of tests.
ON_S3 = {"admin": "login or added", "media": "upload", "rest": "created or validation"}
_PASSED = re.compile(r"^\d+ passed(?:, \d+ deselected)? in ", re.MULTILINE)

RUNS = [
    *((part, "sqlite") for part in PARTS if part not in ENGINE_ONLY),
    *((part, "files") for part in PARTS),
    *((part, "s3") for part in ON_S3),
]


@pytest.fixture
def place(part: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    """Where the part is run."""
    settings = OWN_SETTINGS.get(part, SETTINGS)
    if kind != "s3":
        return Place(kind, tmp_path, settings=settings)
    server: S3Server = request.getfixturevalue("s3_server")
    server.create_bucket(f"ecosystem-{part}")
    return Place(kind, tmp_path, server.endpoint_url, f"ecosystem-{part}", settings)


@pytest.mark.parametrize("part, kind", RUNS, ids=lambda name: name)
def test_part_works_as_on_sqlite(part: str, kind: str, place: Place) -> None:
    chosen = ("-k", ON_S3[part]) if kind == "s3" else ()
    done = place.pytest("-q", "--tb=short", *chosen, str(FOLDER / f"{part}.py"))
    assert _PASSED.search(done.stdout), done.stdout  # and none was skipped
