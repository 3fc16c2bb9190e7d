"""What ``sb_check`` says of a round: a table and its explanations for people, an object for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, Final

from ..indexes.service import TableFindings
from .check import DatabaseCheck, Round, TableCheck
from .pack_wording import packs_as_json, sentences_of_packs
from .plurals import counted, part_of

_HEAD: Final = (
    "table", "documents", "missing", "extra", "pending", "overdue", "in doubt", "corrupt", "orphans", "drift", "state",
)  # fmt: skip


def lines_of(round: Round, *, details: bool, numbered: bool, width: int | None = None) -> Iterator[str]:
    """The table, then what is to be said of each database and table. ``details`` tells of sound indexes too.

    ``numbered`` says which round it was, where there are several.

    Where the table does not fit into a line of ``width`` characters, columns without anything but zeros are left out.
    """
    several = len(round.databases) > 1
    named = [(_name(check, several=several), check) for check in round.tables]
    table = [_HEAD, *[_row(name, check) for name, check in named]]
    lines = list(_aligned(table))
    yield from lines if width is None or len(lines[0]) <= width else _aligned(_without_zeros(table))
    for database in round.databases:
        for text in _about_database(database):
            yield f"{database.database}: {text}"
    for name, check in named:
        for text in _about_table(check, details=details):
            yield f"{name}: {text}"
    conclusion = f"{_conclusion(round)} ({round.seconds:.1f} s)."
    yield f"Round {round.number}: {conclusion}" if numbered else conclusion


def round_as_json(round: Round) -> dict[str, Any]:
    """The round, of JSON types."""
    return {
        "round": round.number,
        "sound": round.is_sound and not round.interrupted,
        "interrupted": round.interrupted,
        "seconds": round.seconds,
        "databases": [{**dataclasses.asdict(check), "error": check.error or None} for check in round.databases],
        "tables": [_table_as_json(check) for check in round.tables],
    }


def _table_as_json(check: TableCheck) -> dict[str, Any]:
    return {
        "database": check.database,
        "model": check.schema.label,
        "table": check.schema.table,
        "sound": check.is_sound,
        "found": _findings_as_json(check.before),
        "left": _findings_as_json(check.findings),
        "orphan_claims": list(check.orphans),
        "unreadable_claims": list(check.unreadable),
        "packs": packs_as_json(check.packs, check.schema.label, by_itself=check.packed_by_itself),
        "repaired": dataclasses.asdict(check.repairs),
        "error": check.error or None,
    }


def _findings_as_json(findings: TableFindings | None) -> dict[str, Any] | None:
    if findings is None:
        return None
    state = findings.state
    return {
        "trusted": state.trusted,
        "reason": state.reason,
        "detail": state.detail,
        "documents": findings.documents,
        "drift_percent": findings.drift,
        "missing": _missing(findings),
        "extra": _extra(findings),
        "pending": state.pending,
        "overdue": state.overdue,
        "in_doubt": findings.in_doubt,
        "corrupt": list(findings.corrupt),
        "miscounted": findings.miscounts,
        "examples": list(findings.examples),
        "indexes": [{**dataclasses.asdict(index), "drift_percent": index.drift} for index in findings.indexes],
    }


def _name(check: TableCheck, *, several: bool) -> str:
    return f"{check.schema.label} ({check.database})" if several else check.schema.label


def _row(name: str, check: TableCheck) -> tuple[str, ...]:
    findings = check.findings
    if findings is None:
        return (name, *["-"] * (len(_HEAD) - 2), "error")
    state = findings.state
    numbers = (
        findings.documents,
        _missing(findings),
        _extra(findings),
        state.pending or 0,
        state.overdue or 0,
        findings.in_doubt,
        len(findings.corrupt),
        len(check.orphans),
    )
    return (name, *[f"{number:,}" for number in numbers], f"{findings.drift:.1f} %", _state(check, findings))


def _state(check: TableCheck, findings: TableFindings) -> str:
    if not check.is_sound:
        return "not trusted" if findings.is_untrusted else "error" if check.error else "damaged"
    if check.repairs:
        return "repaired"
    return "sound" if findings.state.trusted else "no index"


def _without_zeros(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    kept = [set(column[1:]) != {"0"} for column in zip(*rows, strict=True)]
    return [tuple(cell for cell, keep in zip(row, kept, strict=True) if keep) for row in rows]


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *middle, last in rows:
        cells = (cell.rjust(width) for cell, width in zip(middle, widths[1:-1], strict=True))
        yield "  ".join([first.ljust(widths[0]), *cells, last])


def _about_database(check: DatabaseCheck) -> Iterator[str]:
    if check.error:
        yield check.error
    if check.decided:
        decided = counted(check.decided, "transaction of a dead process was", "transactions of dead processes were")
        yield f"{decided} decided."
    for key in check.unfinished:
        yield f"nobody completes the transaction {key!r}."


def _about_table(check: TableCheck, *, details: bool) -> Iterator[str]:
    if check.error:
        yield check.error
    if check.repairs and check.before is not None:
        yield f"{_repairs(check)}. Before, {_problem(check.before)}."
    if check.findings is not None:
        yield from _about_index(check.findings, details=details)
        yield from (f"{key!r} cannot be read as a document" for key in check.findings.corrupt)
    yield from (f"{key!r} claims a unique value for no document" for key in check.orphans)
    yield from (f"{key!r} is not a claim to a unique value" for key in check.unreadable)
    if check.packs is not None:
        yield from sentences_of_packs(check.packs, check.schema.label, by_itself=check.packed_by_itself)


def _about_index(findings: TableFindings, *, details: bool) -> Iterator[str]:
    if findings.is_untrusted:
        yield f"its index is not trusted ({findings.state.reason}). {findings.state.detail}".rstrip()
    for index in findings.indexes:
        if details or index.missing or index.extra:
            yield (
                f"{index.name}: {index.missing:,} missing and {index.extra:,} extra, of "
                f"{counted(index.entries, 'entry', 'entries')} ({index.drift:.1f} %)"
            )
    if findings.examples:
        yield f"for example the documents {', '.join(findings.examples)}"
    if findings.miscounts:
        keys = counted(findings.miscounts, "key has", "keys have")
        yield f"{keys} lost or gained members, such as {findings.miscounted[0]!r}"


def _repairs(check: TableCheck) -> str:
    done = check.repairs
    parts = ["the index was rebuilt"] if done.rebuilt else []
    numbers = (
        (done.amended, "document was entered anew", "documents were entered anew"),
        (done.settled, "note of a dead writer was settled", "notes of dead writers were settled"),
        (done.claims, "orphan claim was removed", "orphan claims were removed"),
    )
    return ", ".join(parts + [counted(number, one, several) for number, one, several in numbers if number])


def _problem(findings: TableFindings) -> str:
    if findings.is_untrusted:
        return f"it was not trusted ({findings.state.reason})"
    missing = counted(_missing(findings), "entry was", "entries were")
    return f"{missing} missing and {_extra(findings):,} extra (drift {findings.drift:.1f} %)"


def _missing(findings: TableFindings) -> int:
    return sum(index.missing for index in findings.indexes)


def _extra(findings: TableFindings) -> int:
    return sum(index.extra for index in findings.indexes)


def _conclusion(round: Round) -> str:
    mended = sum(bool(check.repairs) for check in round.tables)
    mending = f", {mended} mended" if mended else ""
    looked_at = len(round.tables)
    tables = part_of(looked_at, round.known, "table") if round.interrupted else counted(looked_at, "table")
    wrong = f"something wrong with {round.wrong}" if round.wrong else "nothing wrong"
    return f"{tables}{mending}, {wrong}{', interrupted' if round.interrupted else ''}"
