"""What a statement of raw DDL is about to do: CREATE, ALTER and DROP, as SQLite's grammar has them.

SQLite itself is not asked, as it is about queries: it compiles nothing about a table that the workspace does not have,
and for ``DROP TABLE IF EXISTS`` it would not say so. Only the beginning of a statement is read.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

#: Space and comments; the four ways to quote a name; a word; anything else.
_TOKEN: Final = re.compile(
    r"""(?:\s|--[^\n]*|/\*.*?(?:\*/|\Z))+|"((?:[^"]|"")*)"|`((?:[^`]|``)*)`|'((?:[^']|'')*)'|\[([^\]]*)\]"""
    r"""|([^\W\d][\w$]*)|(.)""",
    re.DOTALL,
)
_QUOTES: Final = ('"', "`", "'")
_WORD: Final = 5  # the group of a word


class Act(enum.Enum):
    """What is done to ``Definition.table``."""

    CREATE_TABLE = "CREATE TABLE"
    CREATE_INDEX = "CREATE INDEX"
    CREATE_UNIQUE_INDEX = "CREATE UNIQUE INDEX"
    CREATE_TRIGGER = "CREATE TRIGGER"
    CREATE_VIEW = "CREATE VIEW"
    RENAME_TABLE = "RENAME TO"
    RENAME_COLUMN = "RENAME COLUMN"
    ADD_COLUMN = "ADD COLUMN"
    DROP_COLUMN = "DROP COLUMN"
    DROP_TABLE = "DROP TABLE"
    DROP_INDEX = "DROP INDEX"  # whose table is not said


@dataclass(frozen=True, slots=True)
class Definition:
    """``new_name`` is that of RENAME TO, ``index`` the name of an index; ``temporary`` tells of what only a connection
    has; ``copies`` that the table is made out of a query."""

    act: Act
    table: str
    new_name: str = ""
    index: str = ""
    temporary: bool = False
    copies: bool = False


def definition_of(sql: str) -> Definition | None:
    """What a statement does to a table, or to a view that it makes; None for one that concerns none."""
    tokens = _Tokens(sql)
    if tokens.take("CREATE"):
        return _creation(tokens)
    if tokens.take("ALTER", "TABLE"):
        return _alteration(tokens)
    if tokens.take("DROP", "TABLE"):
        tokens.take("IF", "EXISTS")
        schema, table = tokens.qualified()
        return Definition(Act.DROP_TABLE, table, temporary=_is_temporary(schema))
    if tokens.take("DROP", "INDEX"):
        tokens.take("IF", "EXISTS")
        schema, index = tokens.qualified()
        return Definition(Act.DROP_INDEX, "", index=index, temporary=_is_temporary(schema))
    return None


def _creation(tokens: _Tokens) -> Definition | None:
    temporary = tokens.take("TEMP") or tokens.take("TEMPORARY")
    unique = tokens.take("UNIQUE")
    if tokens.take("TABLE"):
        schema, table = tokens.new()
        temporary = temporary or _is_temporary(schema)
        return Definition(Act.CREATE_TABLE, table, temporary=temporary, copies=tokens.take("AS"))
    if tokens.take("INDEX"):
        schema, name = tokens.new()
        act = Act.CREATE_UNIQUE_INDEX if unique else Act.CREATE_INDEX
        return Definition(act, tokens.after("ON"), index=name, temporary=_is_temporary(schema))
    if tokens.take("VIEW"):
        schema, view = tokens.new()
        return Definition(Act.CREATE_VIEW, view, temporary=temporary or _is_temporary(schema))
    if tokens.take("TRIGGER"):
        schema, _name = tokens.new()
        temporary = temporary or _is_temporary(schema)
        return Definition(Act.CREATE_TRIGGER, tokens.after("ON"), temporary=temporary)
    return None


def _alteration(tokens: _Tokens) -> Definition | None:
    schema, table = tokens.qualified()
    temporary = _is_temporary(schema)
    if tokens.take("RENAME", "TO"):
        return Definition(Act.RENAME_TABLE, table, new_name=tokens.name(), temporary=temporary)
    for word, act in (("RENAME", Act.RENAME_COLUMN), ("ADD", Act.ADD_COLUMN), ("DROP", Act.DROP_COLUMN)):
        if tokens.take(word):
            return Definition(act, table, temporary=temporary)
    return None


def _is_temporary(schema: str) -> bool:
    return schema.lower() == "temp"


class _Tokens:
    """The tokens of a statement, from left to right; what is not there is the empty text."""

    def __init__(self, sql: str) -> None:
        self._found: list[tuple[str, bool]] = list(_tokens(sql))
        self._place = 0

    def take(self, *keywords: str) -> bool:
        """Whether these keywords come next; if so, they are passed over."""
        ahead = self._found[self._place : self._place + len(keywords)]
        if tuple(text.upper() if is_word else "" for text, is_word in ahead) != keywords:
            return False
        self._place += len(keywords)
        return True

    def name(self) -> str:
        """The name that comes next."""
        text = self._found[self._place][0] if self._place < len(self._found) else ""
        self._place += 1
        return text

    def qualified(self) -> tuple[str, str]:
        """The name that comes next, and that of its schema before it, "" without one."""
        first = self.name()
        if self._found[self._place : self._place + 1] != [(".", False)]:
            return "", first
        self._place += 1
        return first, self.name()

    def new(self) -> tuple[str, str]:
        """As ``qualified``, of what may be there already."""
        self.take("IF", "NOT", "EXISTS")
        return self.qualified()

    def after(self, keyword: str) -> str:
        """The name behind the next such keyword."""
        while self._place < len(self._found) and not self.take(keyword):
            self._place += 1
        return self.qualified()[1]


def _tokens(sql: str) -> Iterator[tuple[str, bool]]:
    """Each token with whether it may be a keyword."""
    for found in _TOKEN.finditer(sql):
        if found.lastindex is None:
            continue  # space or a comment
        text = found[found.lastindex]
        if found.lastindex <= len(_QUOTES):
            quote = _QUOTES[found.lastindex - 1]
            text = text.replace(quote * 2, quote)
        yield text, found.lastindex == _WORD
