"""What was measured on: figures without it mean little."""

from __future__ import annotations

import os
import platform
import sqlite3
from pathlib import Path
from typing import Any

import django
from django.db import connections
from django_redis import get_redis_connection

from benchmarks.engines import POSTGRES, SQLITES


def facts(folder: str, aliases: list[str]) -> dict[str, str]:
    """``{fact: value}`` of machine and versions, and of these engines."""
    found = {
        "cores": f"{len(os.sched_getaffinity(0))} (load before: {os.getloadavg()[0]:.1f})",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "file system": _file_system(folder),
        "Python": platform.python_version(),
        "Django": django.__version__,
        "Redis": get_redis_connection("smarterbase").info("server")["redis_version"],
        "SQLite": sqlite3.sqlite_version,
    }
    found |= {alias: _pragmas(alias) for alias in SQLITES if alias in aliases}
    if POSTGRES in aliases:
        connection: Any = connections[POSTGRES]
        connection.ensure_connection()
        version = connection.pg_version
        found["PostgreSQL"] = f"{version // 10000}.{version % 10000}, default settings, TCP on the loopback interface"
    return found


def _pragmas(alias: str) -> str:
    with connections[alias].cursor() as cursor:
        journal = cursor.execute("PRAGMA journal_mode").fetchone()[0]
        level = cursor.execute("PRAGMA synchronous").fetchone()[0]
    return f"journal_mode={journal}, synchronous={('OFF', 'NORMAL', 'FULL', 'EXTRA')[level]}"


def _file_system(folder: str) -> str:
    """The type of the file system that ``folder`` is on, where the system tells."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown"
    path = os.path.realpath(folder)
    found = [line.split()[1:3] for line in mounts.read_text().splitlines()]
    holding = [(point, kind) for point, kind in found if path == point or path.startswith(point.rstrip("/") + "/")]
    return max(holding, key=lambda mount: len(mount[0]))[1] if holding else "unknown"
