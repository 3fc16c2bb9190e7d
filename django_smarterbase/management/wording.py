"""What ``sb_reindex`` says of a table: a line for people, an object for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Final

from ..indexes.service import IndexState, RebuildReport
from .pack_wording import packs_as_json, sentences_of_packs, size_text
from .plurals import counted
from .reindex import Outcome, Refusal, Result, Task

_PLANS: Final = frozenset((Outcome.PLANNED, Outcome.PLANNED_LEFT, Outcome.PLANNED_PACKED))


def sentence(result: Result) -> str:
    """What became of a table, without its name."""
    return " ".join(text for text in (_of_index(result), _of_packs(result)) if text)


def _of_index(result: Result) -> str:
    before = result.task.state
    match result.outcome:
        case Outcome.LEFT:
            return "has no documents and a trusted index; nothing to do."
        case Outcome.PLANNED_LEFT:
            return "has no documents and a trusted index; nothing would be done."
        case Outcome.PLANNED:
            return f"{_trust(before, 'is')}. It would be rebuilt, in {result.task.deadline:g} s at least."
        case Outcome.PACKED | Outcome.PLANNED_PACKED:
            return ""
        case Outcome.INTERRUPTED:
            return f"interrupted; as before, {_trust(before, 'is')}."
        case _:
            done = _numbers(result.report) if result.report is not None else f"failed. {result.error}"
            return done if result.report is None or before.trusted else f"{done} Before, {_trust(before, 'was')}."


def _of_packs(result: Result) -> str:
    if result.packing_error:
        return f"Not packed. {result.packing_error}"
    if result.outcome in _PLANS:
        return " ".join(_of_plan(result.task))
    packing = result.packing
    if packing is None:
        return ""
    if not packing.packs:
        return "There are no documents to pack."
    left_out = f", {packing.left_out:,} left out as too large or no documents" if packing.left_out else ""
    return (
        f"{counted(packing.documents, 'document')} in {counted(packing.packs, 'pack')} in "
        f"{packing.seconds:.1f} s ({size_text(packing.raw_bytes)} in {size_text(packing.packed_bytes)}, "
        f"{packing.read:,} read{left_out})."
    )


def _of_plan(task: Task) -> Iterator[str]:
    if task.pack is not None:
        yield "Its documents would be packed."
    if task.packs is not None:
        yield from sentences_of_packs(task.packs, task.schema.label, by_itself=task.packed_by_itself)


def table_as_json(result: Result) -> dict[str, Any]:
    """What became of a table, of JSON types. The figures are null where there was no rebuild."""
    state = result.task.state
    report = {field.name: None for field in dataclasses.fields(RebuildReport)}
    if result.report is not None:
        report = dataclasses.asdict(result.report)
    return {
        "database": result.task.database,
        "model": result.task.schema.label,
        **report,
        "table": result.task.schema.table,
        "outcome": result.outcome,
        "before": {
            "trusted": state.trusted,
            "reason": state.reason,
            "detail": state.detail,
            "documents": state.documents,
        },
        "packs": packs_as_json(result.task.packs, result.task.schema.label, by_itself=result.task.packed_by_itself),
        "error": result.error or None,
        "packing": dataclasses.asdict(result.packing) if result.packing is not None else None,
        "packing_error": result.packing_error or None,
    }


def refusal_as_json(refusal: Refusal) -> dict[str, Any]:
    """A database that was left out."""
    return {"database": refusal.database, "error": refusal.error}


def _trust(state: IndexState, verb: str) -> str:
    if state.trusted:
        return f"its index {verb} trusted ({counted(state.documents or 0, 'document')})"
    return f"its index {verb} not trusted ({state.reason}{': ' if state.detail else ''}{state.detail})"


def _numbers(report: RebuildReport) -> str:
    corrupt = f", {report.corrupt:,} left out as unreadable" if report.corrupt else ""
    return (
        f"{counted(report.documents, 'document')} indexed in {report.seconds:.1f} s ({report.read:,} read, "
        f"{report.reused:,} known by their ETag, {report.mended:,} changed meanwhile{corrupt})."
    )
