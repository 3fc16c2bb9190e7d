"""Names of databases: each stays in its own folder, or is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_smarterbase.backend.upkeep import delete_database
from testproject.services import RedisServer

from ..places import Place
from ..tally import TALLY
from . import written
from .bestiary.models import Beast
from .generate import load
from .sides import ALIAS, BARE, Sides, opened

NAMES = [written.read(entry["value"]) for entry in load("names") if entry["kind"] == "database"]


def beasts(using: str = ALIAS) -> Any:
    """All beasts."""
    return Beast.objects.using(using)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: f"{name!r:.20}")
def test_database_of_any_name_stays_in_its_folder_or_is_refused(tmp_path: Path, server: RedisServer, name: str) -> None:
    place = Place(name, str(tmp_path / "objects"), server.url, write_deadline=0.3, trust_seconds=0.05)
    with opened(place) as sides:
        if not all(name.split("/")):
            with pytest.raises(ImproperlyConfigured, match="empty part"):
                beasts().create(name="lion", kind="cat")
            return
        _use(sides, tmp_path)
    TALLY.count("hostile names", "databases of strange names")


def _use(sides: Sides, folder: Path) -> None:
    for beast in ("lion", "tiger"):
        beasts().create(name=beast, kind="cat", tag=beast)
    sides.restart()
    assert beasts().filter(kind="cat").count() == len(beasts(BARE).filter(kind="cat")) == 2
    prefix = Path(sides.place.location) / sides.resources.keys.prefix()
    files = list(folder.rglob("*.json"))
    assert len(files) >= 4
    assert all(path.is_relative_to(prefix) and ".." not in path.parts for path in files)
    delete_database(sides.resources)
    assert not list(folder.rglob("*.json"))
