"""Figures and tables as text."""

from __future__ import annotations

from collections.abc import Sequence


def time_of(milliseconds: float) -> str:
    """``0.72 ms``, ``13 ms`` or ``2.9 s``."""
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds:.2f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"


def multiple(ratio: float) -> str:
    """``x1.82``."""
    return f"x{ratio:.2f}" if ratio < 10 else f"x{ratio:.0f}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns, the first to the left and the others to the right, with a line below the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join(line.rstrip() for line in lines)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """The same rows as a table of Markdown."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, "|---" * len(rows[0]) + "|")
    return "\n".join(lines)
