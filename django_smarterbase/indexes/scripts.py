"""The Lua scripts of the folder ``lua``, each with the functions in front that it shares with others."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final


class Script(enum.Enum):
    """A script by its file's name. Keys, arguments and answers are described at the head of the file."""

    ADOPT = "adopt"
    AMEND = "amend"
    APPEND = "append"
    BEGIN = "begin"
    CLEAR = "clear"
    COMPARE = "compare"
    COUNTS = "counts"
    DROP = "drop"
    FILL = "fill"
    FINISH = "finish"
    FORGET = "forget"
    GROUPS = "groups"
    HOLD = "hold"
    INSPECT = "inspect"
    LOCK = "lock"
    LOOK = "look"
    MARK = "mark"
    MEMBERS = "members"
    MEND = "mend"
    NEWS = "news"
    OVERDUE = "overdue"
    PAGE = "page"
    READ = "read"
    RECORDS = "records"
    REGISTER = "register"
    SETTLE = "settle"
    STANDING = "standing"
    TALLIED = "tallied"
    UNLOCK = "unlock"
    UNLISTED = "unlisted"
    UNSEEN = "unseen"
    VERIFY = "verify"
    WALK = "walk"
    WEIGH = "weigh"


#: What stands between ``common.lua`` and the text of a script; ``writing.lua`` where nothing else is said.
_SHARED: Final[Mapping[Script, tuple[str, ...]]] = {
    Script.ADOPT: ("writing", "entering"),
    Script.COMPARE: ("writing", "entering"),
    Script.COUNTS: ("reading",),
    Script.FILL: ("writing", "entering"),
    Script.GROUPS: ("reading",),
    Script.READ: ("reading", "telling"),
    Script.RECORDS: ("reading", "telling"),
    Script.WALK: ("reading",),
}


@dataclass(frozen=True, slots=True)
class Source:
    """A script's text, and the SHA-1 by which Redis knows it."""

    text: str
    sha: str


@cache
def source_of(script: Script) -> Source:
    """The script as it is sent to Redis."""
    folder = files(__package__) / "lua"
    names = ("common", *_SHARED.get(script, ("writing",)), script.value)
    text = "\n".join((folder / f"{name}.lua").read_text(encoding="utf-8") for name in names)
    return Source(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
