"""What the commands say of the packs of a table: sentences for people, an object for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils import translation
from django.utils.timesince import timesince

from ..packs.inspection import Comparison, PackFindings
from .plurals import counted, inflected

_HARMLESS = "No answer depends on packs: the documents themselves are read."


def sentences_of_packs(found: PackFindings, label: str, *, by_itself: bool) -> Iterator[str]:
    """What there is, what is wrong with it, and what to run. ``by_itself`` tells whether the option ``pack`` is on."""
    if found.packs:
        yield f"{_figures(found)}{_comparison(found.compared)}"
    if found.compared is not None:
        yield _advice(found.compared, label, by_itself=by_itself)
    for problem in found.problems:
        yield f"The pack object {problem.key!r} cannot be used: {problem.detail.rstrip('.')}."
    if found.orphaned:
        yield (
            f"{counted(len(found.unlisted), 'pack')}, such as {found.unlisted[0]!r}, {_are(found.unlisted)} orphaned: "
            "no index of packs names any, since it is gone, or their packing was cut off or is under way."
        )
    elif found.unlisted:
        yield (
            f"{counted(len(found.unlisted), 'pack')} of an earlier packing, or of one under way, "
            f"{_are(found.unlisted)} kept until the next one."
        )
    if is_broken(found):
        yield f"{_HARMLESS} {_run(label)} makes new packs and deletes what is left of the old ones."


def packs_as_json(found: PackFindings | None, label: str, *, by_itself: bool) -> dict[str, Any] | None:
    """What there is, of JSON types. ``compared`` is null when the documents were not looked at, ``run`` when there is
    nothing to do."""
    if found is None:
        return None
    return {
        **dataclasses.asdict(found),
        "made_at": None if found.made_at is None else found.made_at.isoformat(),
        "orphaned": found.orphaned,
        "by_itself": by_itself,
        "run": _run(label) if is_broken(found) or (found.compared is not None and found.compared.due) else None,
    }


def is_broken(found: PackFindings) -> bool:
    """Whether there is something wrong with them, which costs reads and no answer."""
    return bool(found.problems) or found.orphaned


def size_text(number: int) -> str:
    """A number of bytes for people."""
    return filesizeformat(number).replace("\xa0", " ")


def _figures(found: PackFindings) -> str:
    made = "" if found.made_at is None else f", made {_ago(found.made_at)}"
    documents = counted(found.documents, "document")
    sizes = f"{size_text(found.raw_bytes)} in {size_text(found.size)}"
    return f"{counted(found.packs, 'pack')} with {documents} ({sizes}){made}"


def _ago(moment: datetime) -> str:
    with translation.override(None):  # as all that the commands say
        passed = timesince(moment, depth=1).replace("\xa0", " ")
    ago = "just now" if passed == "0 minutes" else f"{passed} ago"
    return f"{ago} ({moment:%Y-%m-%d %H:%M} UTC)"


def _comparison(compared: Comparison | None) -> str:
    if compared is None:
        return ". How many of them have changed since was not looked at."
    return (
        f": {compared.unchanged:,} unchanged, {compared.changed:,} changed and {compared.gone:,} gone since; "
        f"{counted(compared.outside, 'document')} in no pack."
    )


def _advice(compared: Comparison, label: str, *, by_itself: bool) -> str:
    if not compared.read:
        return "A scan reads no document one by one."
    cost = f"A scan reads {counted(compared.read, 'document')} one by one"
    if not compared.due:
        return f"{cost}, too few for the option pack to have the table packed anew."
    if by_itself:
        return f"{cost}: the option pack has the table packed anew after the next one. {_run(label)} does it now."
    return f"{cost}: the option pack, which is off, would have the table packed anew. {_run(label)} does it."


def _run(label: str) -> str:
    return f"manage.py sb_reindex --pack {label}"


def _are(things: tuple[str, ...]) -> str:
    return inflected(len(things), "is", "are")
