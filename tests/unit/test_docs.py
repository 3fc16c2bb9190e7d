"""The documents name everything that users meet, name nothing that does not exist, and their links lead somewhere."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from django_smarterbase import checks, exceptions
from django_smarterbase.conf import Options
from django_smarterbase.managers import SmarterBaseQuerySet
from django_smarterbase.outlook import FallbackReason
from django_smarterbase.profiling import QueryProfile, Summary
from tests.acceptance.ecosystem.test_parts import ON_S3
from tests.unit.test_signals import sent as sent_signals

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "django_smarterbase"
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?)\s*$", re.MULTILINE)
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_MAKE = re.compile(r"(?:^ *|`(?:\w+=\S+ )*)make ([a-z][a-z-]*)", re.MULTILINE)
_ROW = re.compile(r"^\| `([^`]+)`(?: †)? \|", re.MULTILINE)
_SEVERAL = re.compile(r"^\| ((?:`\w+`(?:, )?)+) \|", re.MULTILINE)
_CHECK_ID = re.compile(r"\b[EW]\d{3}\b")
_CODE_PATH = re.compile(
    r"`((?:django_smarterbase|tests|testproject|docs|requirements)/[\w./-]+\.(?:py|md|txt|in|lua))`"
)


def text_of(*parts: str) -> str:
    """A document of the project."""
    return ROOT.joinpath(*parts).read_text()


def rows_of(page: str) -> set[str]:
    """The names in the first column of the tables of a page."""
    return set(_ROW.findall(page))


def anchor(heading: str) -> str:
    """The fragment that a heading can be linked by, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def links() -> Iterator[tuple[Path, str]]:
    """Every link of every page that leads to another file or heading of the project."""
    for page in PAGES:
        for target in _LINK.findall(_FENCED.sub("", page.read_text())):
            if not target.startswith(("http://", "https://", "mailto:")):
                yield page, target


def test_readme_lists_every_option_with_its_default() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \| (\S+) \|", text_of("README.md"), re.MULTILINE))
    defaults = {field.name: field.default for field in fields(Options)}
    shown = {name: f'"{value}"' if isinstance(value, str) else str(value) for name, value in defaults.items()}
    assert {name: value.strip("`") for name, value in table.items()} == shown


def test_settings_page_lists_every_option() -> None:
    assert {field.name for field in fields(Options)} <= rows_of(text_of("docs", "reference", "settings.md"))


def test_settings_page_lists_every_setting_that_the_package_reads() -> None:
    sources = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    read = set(re.findall(r'getattr\(\s*settings, "(SMARTERBASE_\w+)"', sources))
    assert read == {name for name in rows_of(text_of("docs", "reference", "settings.md")) if "SMARTERBASE" in name}


def test_checks_page_lists_just_the_ids_that_the_checks_give() -> None:
    sources = "".join(path.read_text() for path in (PACKAGE / "checks").glob("*.py"))
    given = set(re.findall(r'id="(?:smarterbase\.)?([EW]\d{3})"', sources))
    assert given == set(_CHECK_ID.findall(checks.__doc__ or ""))
    assert rows_of((REFERENCE / "checks.md").read_text()) == {f"smarterbase.{id}" for id in given}


def test_pages_name_no_check_that_does_not_exist() -> None:
    known = set(_CHECK_ID.findall(checks.__doc__ or ""))
    assert {id for page in PAGES for id in _CHECK_ID.findall(page.read_text())} <= known


def test_commands_page_has_a_heading_for_every_command() -> None:
    names = {path.stem for path in (PACKAGE / "management" / "commands").glob("sb_*.py")}
    headings = set(_HEADING.findall((REFERENCE / "commands.md").read_text()))
    assert names
    assert {heading for heading in headings if heading.startswith("sb_")} == names


def test_commands_page_names_every_argument_of_every_command() -> None:
    page = (REFERENCE / "commands.md").read_text()
    for path in (PACKAGE / "management" / "commands").glob("sb_*.py"):
        for argument in re.findall(r'"(--[a-z-]+)"', path.read_text()):
            assert f"`{argument}" in page, f"{path.stem} {argument}"


def test_errors_page_lists_just_the_public_errors() -> None:
    members = inspect.getmembers(exceptions, inspect.isclass)
    errors = {name for name, each in members if each.__module__ == exceptions.__name__}
    own, _, _ = (REFERENCE / "errors.md").read_text().partition("## Django's own")
    assert rows_of(own) == errors


def test_profiles_page_names_every_attribute_and_every_fallback_reason() -> None:
    page = (REFERENCE / "profiles.md").read_text()
    names = {field.name for field in fields(QueryProfile)} | {field.name for field in fields(Summary)}
    missing = [name for name in sorted(names - {"slow_ms"}) if f"`{name}`" not in page]
    assert not missing
    assert not [reason for reason in FallbackReason if f"`{reason}`" not in page]


def test_signals_page_lists_just_the_signals_and_arguments_that_are_sent() -> None:
    sections = re.split(r"^### ", (REFERENCE / "signals.md").read_text(), flags=re.MULTILINE)[1:]
    documented = {
        section.partition("\n")[0]: {name for row in _SEVERAL.findall(section) for name in re.findall(r"`(\w+)`", row)}
        for section in sections
    }
    assert documented == {name: set(*arguments) for name, arguments in sent_signals().items()}


def test_managers_page_names_every_method_of_its_own() -> None:
    page = (REFERENCE / "managers.md").read_text()
    own = {"named", "require_index", "scan", "index_counts", "aindex_counts", "as_manager"}
    assert own <= set(vars(SmarterBaseQuerySet))
    assert not [name for name in sorted(own) if f".{name}(" not in page]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    assert set(_MAKE.findall(page.read_text())) <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    assert not [path for path in _CODE_PATH.findall(page.read_text()) if not (ROOT / path).is_file()]


def test_links_lead_to_files_and_headings_that_exist() -> None:
    broken = []
    for page, target in links():
        path, _, fragment = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        headings = _HEADING.findall(_FENCED.sub("", file.read_text())) if file.is_file() else []
        if not file.is_file() or (fragment and fragment not in map(anchor, headings)):
            broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, left = set[Path](), [ROOT / "README.md"]
    while left:
        page = left.pop()
        if page not in reached and page.suffix == ".md" and page.is_file():
            reached.add(page)
            left += [(page.parent / target.partition("#")[0]).resolve() for source, target in links() if source == page]
    assert sorted(str(page.relative_to(ROOT)) for page in set(PAGES) - reached) == []


def test_ecosystem_page_names_just_the_parts_that_are_tested() -> None:
    parts = {path.stem for path in (ROOT / "tests" / "acceptance" / "ecosystem" / "parts").glob("*.py")}
    page, _, _ = text_of("docs", "explanation", "ecosystem.md").partition("| package |")
    assert rows_of(page) == parts - {"__init__", "conftest"}


def test_ecosystem_page_names_the_parts_that_are_tested_on_s3() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", text_of("docs", "explanation", "ecosystem.md"), re.MULTILINE)
    assert {part for part, content in rows if content.endswith("also on S3")} == set(ON_S3)


def test_ecosystem_page_names_every_command_that_is_called() -> None:
    page = text_of("docs", "explanation", "ecosystem.md")
    sources = (ROOT / "tests" / "acceptance" / "ecosystem" / "parts").glob("*.py")
    called = {name for path in sources for name in re.findall(r'(?:call_command|printed)\("(\w+)"', path.read_text())}
    assert len(called) > 15
    assert not [name for name in sorted(called - {"migrate"}) if f"`{name}" not in page]


def test_ecosystem_page_has_the_versions_that_the_lock_installs() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| ([\d.]+) \|$", text_of("docs", "explanation", "ecosystem.md"), re.MULTILINE)
    lock = dict(re.findall(r"^([\w-]+)==(.+)$", text_of("requirements", "dev.txt"), re.MULTILINE))
    assert len(rows) >= 7
    assert dict(rows) == {name: lock[name] for name, _ in rows}
