"""The rules that the folders promise: imports go one way, modules stay short and say what they are."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "django_smarterbase"
MAX_LINES = 400

#: Rooms, lowest first. A module imports from its own room and from lower layers only; the rooms of one layer do not
#: import each other, apart from what ALLOWED names.
LAYERS = (
    {"conf", "exceptions", "tables", "ops", "hints", "outlook", "steps", "signals", "logs", "tenancy", "recent"}
    | {"background"},
    {"storage", "indexes", "planner", "profiling"},
    {"packs"},
    {"backend", "history"},
    {"managers", "models", "fields", "routers", "tenants", "contenttypes"}
    | {"checks", "apps", "management", "admin", "panel", "templatetags"},
    {"contrib"},
)
ALLOWED = {("indexes", "storage")}
#: The highest layer's rooms are the public face, and build on each other.
PUBLIC = LAYERS[4]


def modules() -> list[Path]:
    """Every module of the package."""
    return sorted((ROOT / PACKAGE).rglob("*.py"))


def room_of(dotted: str) -> str | None:
    """``django_smarterbase.storage.keys`` -> ``storage``; None for what is not of the package, or its root."""
    parts = dotted.split(".")
    return parts[1] if parts[0] == PACKAGE and len(parts) > 1 else None


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = ".".join(filter(None, [*base_of(path, node.level), node.module]))
            yield from (f"{source}.{alias.name}" for alias in node.names)


def base_of(path: Path, level: int) -> tuple[str, ...]:
    """The package that ``level`` dots name in a module."""
    return path.relative_to(ROOT).parts[:-level] if level else ()


def layer_of(room: str) -> int:
    """The position of a room in LAYERS."""
    return next(position for position, rooms in enumerate(LAYERS) if room in rooms)


def may_import(room: str, other: str) -> bool:
    """Whether a module of ``room`` may import from ``other``."""
    if room == other or (room, other) in ALLOWED or {room, other} <= PUBLIC:
        return True
    return layer_of(other) < layer_of(room) or (layer_of(room) == 0 == layer_of(other))


def room_of_file(path: Path) -> str | None:
    """The room in which a file of the package stands; None for the package's own ``__init__``."""
    inside = path.relative_to(ROOT / PACKAGE)
    return None if inside == Path("__init__.py") else inside.parts[0].removesuffix(".py")


def test_rooms_are_all_known() -> None:
    known = set().union(*LAYERS)
    assert {room for path in modules() if (room := room_of_file(path))} <= known


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_module_imports_only_from_rooms_below(path: Path) -> None:
    room = room_of_file(path)
    wrong = [
        name
        for name in imported(path)
        if room and (other := room_of(name)) and other != "__version__" and not may_import(room, other)
    ]
    assert not wrong


@pytest.mark.parametrize("name", ["signals", "logs", "tenancy", "recent", "background"])
def test_what_everybody_may_import_imports_nothing_of_the_package(name: str) -> None:
    assert not [each for each in imported(ROOT / PACKAGE / f"{name}.py") if room_of(each)]


def test_contributions_do_not_import_each_other() -> None:
    folders = {path.parent for path in (ROOT / PACKAGE / "contrib").glob("*/__init__.py")}
    for folder in folders:
        others = {f"{PACKAGE}.contrib.{other.name}" for other in folders - {folder}}
        for path in folder.rglob("*.py"):
            assert not [each for each in imported(path) if ".".join(each.split(".")[:3]) in others], path


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_module_imports_no_test_and_no_example(path: Path) -> None:
    assert not [name for name in imported(path) if name.split(".")[0] in {"tests", "testproject", "benchmarks"}]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_module_takes_its_cached_properties_from_django(path: Path) -> None:
    # Until Python 3.12 those of functools have one lock for all objects of a class: threads wait for it, and a forked
    # child for ever.
    assert "functools.cached_property" not in set(imported(path))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_module_is_short_and_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MAX_LINES
    assert not text.strip() or ast.get_docstring(ast.parse(text)), f"{path} has no docstring"


def test_import_rule_refuses_what_points_upwards_or_sideways() -> None:
    assert not may_import("storage", "backend")
    assert not may_import("planner", "indexes")
    assert not may_import("storage", "indexes")
    assert not may_import("backend", "managers")
    assert not may_import("models", "contrib")
    assert not may_import("history", "backend")
    assert not may_import("backend", "history")
    assert not may_import("indexes", "packs")
    assert may_import("packs", "storage")
    assert may_import("backend", "packs")
    assert may_import("indexes", "storage")
    assert may_import("apps", "history")
    assert may_import("managers", "backend")
