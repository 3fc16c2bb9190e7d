"""The processes of a running server, and their connections to a port of this machine. From /proc, so Linux only."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_ESTABLISHED = "01"


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    children: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):  # processes come and go, and threads of theirs
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError):
                children += map(int, (task / "children").read_text().split())
    return [*children, *(grandchild for child in children for grandchild in descendants(child))]


def sockets(pid: int, port: int) -> set[int]:
    """The local ports of the open connections of a process to ``port``, those that it has inherited too."""
    own, found = set(), set()
    with suppress(FileNotFoundError, ProcessLookupError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                own.add(os.readlink(entry))
        for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
            _, local, remote, state, *rest = line.split()
            if state == _ESTABLISHED and _port(remote) == port and f"socket:[{rest[5]}]" in own:
                found.add(_port(local))
    return found


def resident(pid: int | str = "self") -> int:
    """The memory of a process that is in use and in RAM, in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)
