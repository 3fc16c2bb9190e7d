"""What ``sb_check`` and ``sb_reindex --dry-run`` say of packs, and that it is never a failure."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from django_smarterbase.packs import auto
from testproject.articles.models import Article, Author
from tests.integration.commands.site import Site

LABEL = "articles.Author"
AUTHORS = Author._meta.db_table
RUN = f"manage.py sb_reindex --pack {LABEL}"
FIGURES = r"1 pack with 3 documents \(\d+ bytes in \d+ bytes\), made just now \(\d{4}-\d\d-\d\d \d\d:\d\d UTC\)"
HARMLESS = (
    f"No answer depends on packs: the documents themselves are read. {RUN} makes new packs and deletes what is left of "
    "the old ones."
)


def run(command: str, **options: Any) -> tuple[list[str], int]:
    """What the command says of authors, and its status."""
    out, status = io.StringIO(), 0
    try:
        call_command(command, LABEL, stdout=out, stderr=io.StringIO(), no_color=True, **options)
    except CommandError as error:
        status = error.returncode
    return [line.removeprefix(f"{LABEL}: ") for line in out.getvalue().splitlines() if line.startswith(LABEL)], status


def checked(**options: Any) -> tuple[list[str], int]:
    """What ``sb_check`` says of authors below its table, and its status."""
    lines, status = run("sb_check", **options)
    return lines[1:], status


def told(command: str, **options: Any) -> dict[str, Any] | None:
    """What the JSON of the command says of the packs of authors."""
    out = io.StringIO()
    call_command(command, LABEL, stdout=out, stderr=io.StringIO(), json=True, **options)
    report = json.loads(out.getvalue())
    assert report.get("sound", True)
    packs: dict[str, Any] | None = report["tables"][0]["packs"]
    return packs


def key_of_pack() -> str:
    """The key of the only pack of authors."""
    keys = connection.resources.keys.packs(AUTHORS)
    (listed,) = [each for each in connection.resources.store.list(keys.prefix) if each.key.endswith(".pack")]
    return listed.key


@pytest.fixture
def packed(site: Site) -> Site:
    """A site with three authors in a pack."""
    for name in ("Ada", "Grace", "Barbara"):
        Author.objects.create(name=name)
    connection.resources.store.pack(AUTHORS)
    return site


@pytest.fixture
def changed(packed: Site) -> Site:
    """The same after one author was changed, one deleted, and one was new."""
    Author.objects.filter(name="Ada").update(name="Augusta Ada")
    Author.objects.get(name="Grace").delete()
    Author.objects.create(name="Jean")
    return packed


def test_check_says_nothing_of_packs_where_there_are_none(site: Site) -> None:
    Author.objects.create(name="Ada")
    assert checked() == ([], 0)
    assert told("sb_check") is None


def test_check_tells_how_current_packs_are(changed: Site) -> None:
    (figures, advice), status = checked()
    assert status == 0
    assert re.fullmatch(rf"{FIGURES}: 1 unchanged, 1 changed and 1 gone since; 1 document in no pack\.", figures)
    assert advice == "A scan reads 2 documents one by one, too few for the option pack to have the table packed anew."


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (False, f"the option pack, which is off, would have the table packed anew. {RUN} does it."),
        (True, f"the option pack has the table packed anew after the next one. {RUN} does it now."),
    ],
)
def test_check_says_what_to_run_when_much_has_changed(changed: Site, monkeypatch, option: bool, expected: str) -> None:
    monkeypatch.setattr(auto, "_FEWEST", 1)
    monkeypatch.setattr(auto.AutoPacking, "consider", lambda *_args: None)  # the check is a scan, too
    changed.restart(pack=option)
    (_figures, advice), status = checked()
    assert (advice, status) == (f"A scan reads 2 documents one by one: {expected}", 0)
    packs = told("sb_check")
    assert packs is not None
    assert (packs["by_itself"], packs["compared"]["due"], packs["run"]) == (option, True, RUN)


def test_check_of_a_sample_compares_no_packs(changed: Site) -> None:
    (figures,), status = checked(sample=1)
    assert status == 0
    assert re.fullmatch(rf"{FIGURES}\. How many of them have changed since was not looked at\.", figures)
    packs = told("sb_check", sample=1)
    assert packs is not None
    assert (packs["documents"], packs["compared"]) == (3, None)


def test_broken_pack_is_named_with_its_remedy_and_fails_no_check(packed: Site) -> None:
    key = key_of_pack()
    connection.resources.store.put(key, b"mine")
    (_figures, _advice, problem, remedy), status = checked()
    assert status == 0
    assert problem == f"The pack object {key!r} cannot be used: its content is not what was written."
    assert remedy == HARMLESS
    packs = told("sb_check")
    assert packs is not None
    assert packs["problems"] == [{"key": key, "detail": "its content is not what was written"}]
    assert packs["run"] == RUN


def test_orphaned_pack_is_named_with_its_remedy_and_fails_no_check(packed: Site) -> None:
    key = key_of_pack()
    connection.resources.store.delete(connection.resources.keys.packs(AUTHORS).list_of_packs())
    assert checked() == (
        [
            f"1 pack, such as {key!r}, is orphaned: no index of packs names any, since it is gone, or their packing "
            "was cut off or is under way.",
            HARMLESS,
        ],
        0,
    )
    packs = told("sb_check")
    assert packs is not None
    assert (packs["orphaned"], packs["unlisted"], packs["made_at"], packs["run"]) == (True, [key], None, RUN)


def test_what_is_to_be_run_mends_what_was_found(packed: Site) -> None:
    connection.resources.store.put(key_of_pack(), b"mine")
    call_command(*RUN.split()[1:], stdout=io.StringIO(), stderr=io.StringIO())
    (figures, advice, kept), status = checked()
    assert status == 0
    assert re.fullmatch(rf"{FIGURES}: 3 unchanged, 0 changed and 0 gone since; 0 documents in no pack\.", figures)
    assert advice == "A scan reads no document one by one."
    assert kept == "1 pack of an earlier packing, or of one under way, is kept until the next one."


def test_packs_do_not_hide_what_is_wrong_with_an_index(packed: Site) -> None:
    packed.server.restart_empty()
    lines, status = checked()
    assert status == 1
    assert lines[0].startswith("its index is not trusted")
    assert lines[1].startswith("1 pack with 3 documents")


@pytest.mark.parametrize("pack", [True, False])
def test_dry_run_tells_how_current_packs_are(changed: Site, pack: bool) -> None:
    before = list(connection.resources.store.list(connection.resources.keys.packs(AUTHORS).prefix))
    (line,), status = run("sb_reindex", dry_run=True, pack=pack)
    assert status == 0
    planned = "Its documents would be packed. " if pack else ""
    assert re.fullmatch(
        rf"its index is trusted \(3 documents\)\. It would be rebuilt, in 1 s at least\. {planned}{FIGURES}: 1 "
        r"unchanged, 1 changed and 1 gone since; 1 document in no pack\. A scan reads 2 documents one by one, too few "
        r"for the option pack to have the table packed anew\.",
        line,
    )
    assert list(connection.resources.store.list(connection.resources.keys.packs(AUTHORS).prefix)) == before


def test_json_of_a_dry_run_has_what_that_of_a_check_has(changed: Site) -> None:
    packs = told("sb_reindex", dry_run=True)
    assert packs is not None
    assert packs == told("sb_check")
    compared = {"unchanged": 1, "changed": 1, "gone": 1, "outside": 1, "due": False}
    assert (packs["packs"], packs["documents"], packs["compared"], packs["run"]) == (1, 3, compared, None)


def test_packs_of_other_tables_are_told_of_theirs(packed: Site) -> None:
    Article.objects.create(author=Author.objects.first(), title="On engines", category="a")
    out = io.StringIO()
    call_command("sb_check", "articles", stdout=out, stderr=io.StringIO(), no_color=True)
    assert [line for line in out.getvalue().splitlines() if line.startswith("articles.Article: ")] == []
    assert len([line for line in out.getvalue().splitlines() if line.startswith(f"{LABEL}: ")]) == 2
