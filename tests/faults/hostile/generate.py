"""Writes the corpus anew: ``python -m tests.faults.hostile.generate``. The same code always writes the same files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from . import documents, keys, names, systems, values

CORPUS: Final = Path(__file__).parent / "corpus"
SOURCES: Final[dict[str, Callable[[], Iterable[dict[str, Any]]]]] = {
    "keys": keys.entries,
    "values": values.entries,
    "documents": documents.entries,
    "systems": systems.entries,
    "names": names.entries,
}


def text_of(name: str) -> str:
    """The text of one file, an entry a line."""
    lines = ",\n".join(json.dumps(entry) for entry in SOURCES[name]())
    return f"[\n{lines}\n]\n"


def load(name: str) -> list[dict[str, Any]]:
    """The entries of one committed file."""
    entries: list[dict[str, Any]] = json.loads((CORPUS / f"{name}.json").read_text())
    return entries


def main() -> None:
    """Write every file."""
    for name in SOURCES:
        (CORPUS / f"{name}.json").write_text(text_of(name))


if __name__ == "__main__":
    main()
