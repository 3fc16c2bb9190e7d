"""Names of databases and tables, and of objects that stand where documents or system objects do and are none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .written import times, write

DATABASES = (
    *("..", ".", "../x", "a/../b", "_sb", "_sb/x", "_SB", "a b", "é", "a\0b", "{}", "a:b", "*", "%2e", "~", "a\nb"),
    ".json",
    *("/x", "x/", "a//b", "/"),
)  # fmt: skip
TABLES = (
    *("../evil", "..", ".", "_sb", "a b", "a/b", "/abs", "é", "😀", "select", "a:b", "{a}", "a'b", "a.b", "*", "\\"),
    *("a\tb", "-", "=e", "a\nb", "~", "_sb_pending", "_SB_State", "_sb_log:x", "sqlite_x"),
)  # fmt: skip
#: Relative to the folder of a table, or to one of the system objects. "<ff>" stands for a byte that is no text.
STRANGERS = (
    *("a.txt", "lion.json~", ".lion.json.swp", "lion.JSON", ".json", "a b.json", "%2e.json", "%zz.json", "é.json"),
    "a\nb.json",
    *("sub/x.json", "sub/deep/x.json", "=h.json", "=n", "lion", "a!.json", "%61.json", "<ff>.json", "<ff>"),
    *("..json", "a..json"),
)  # fmt: skip


def entries() -> Iterator[dict[str, Any]]:
    """Every name as an entry of the corpus."""
    for kind, texts in (("database", DATABASES), ("table", TABLES), ("stranger", STRANGERS)):
        for text in texts:
            yield {"id": f"{kind} {text!r}", "kind": kind, "value": write(text)}
    yield {"id": "database of 300 letters", "kind": "database", "value": times("x", 300)}
    yield {"id": "table of 300 letters", "kind": "table", "value": times("x", 300)}
    yield {"id": "stranger of 240 letters", "kind": "stranger", "value": times("x", 240)}
