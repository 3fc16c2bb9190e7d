"""A PostgreSQL of one's own, where its programs are installed: a temporary cluster on a free port."""

from __future__ import annotations

import glob
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
from pathlib import Path

from testproject.services import LOOPBACK, Service

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # PostgreSQL's protocol, "SSLRequest": answered with one byte


def missing() -> str | None:
    """Why PostgreSQL cannot be measured here, or None."""
    if importlib.util.find_spec("psycopg") is None:
        return 'the package psycopg is missing (pip install "psycopg[binary]")'
    if _program("initdb") is None or _program("postgres") is None:
        return "initdb and postgres are neither on PATH nor in /usr/lib/postgresql/*/bin"
    if os.geteuid() == 0 and (_account() is None or shutil.which("setpriv") is None):
        return "it refuses to run as root, and there is no account to run it as"
    return None


class PostgresServer(Service):
    """A cluster with PostgreSQL's default settings (fsync and synchronous_commit on), loopback only, no password.

    ``directory`` is where its data are kept, or are from an earlier run. Without it, or where the account that the
    server runs as cannot reach it, they go when it is closed.
    """

    name = "postgres"
    start_deadline = 30.0

    def __init__(self, directory: Path | None = None) -> None:
        super().__init__()
        home = None if directory is None else directory.absolute() / _version()
        _make_reachable(self._scratch)
        if home is None or not _make_reachable(home):
            home = self._scratch
        self._data = home / "data"
        if (self._data / "PG_VERSION").exists():
            return
        command = [str(_program("initdb")), "-D", str(self._data), "-U", "bench", "-A", "trust", "-E", "UTF8"]
        subprocess.run([*_as_account(), *command, "--locale=C"], cwd=home, capture_output=True, check=True)

    def ensure_database(self, name: str) -> None:
        """Make the database ``name`` unless there is one."""
        import psycopg

        with psycopg.connect(
            host=LOOPBACK, port=self.port, user="bench", dbname="postgres", autocommit=True
        ) as session:
            if session.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
                session.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))

    def command(self) -> list[str]:
        """The command line."""
        settings = ["-c", f"listen_addresses={LOOPBACK}", "-c", "unix_socket_directories="]
        return [*_as_account(), str(_program("postgres")), "-D", str(self._data), "-p", str(self.port), *settings]

    def answers(self, pid: int) -> bool:
        """Ask whether it speaks its protocol; it only writes its pid file once it has the port."""
        lines = (self._data / "postmaster.pid").read_text().splitlines()
        if lines[:1] != [str(pid)] or "ready" not in lines[-1]:
            return False
        with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
            connection.sendall(_SSL_REQUEST)
            return connection.recv(1) in (b"N", b"S")

    def stop(self) -> None:
        """Fast shutdown, without waiting for clients."""
        self._end(signal.SIGINT)


def _program(name: str) -> Path | None:
    found = shutil.which(name)
    candidates = [found] if found else sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"))
    return Path(candidates[-1]).resolve() if candidates else None


def _make_reachable(folder: Path) -> bool:
    """Make a folder of the account that the server runs as; returns whether it can use it there."""
    folder.mkdir(parents=True, exist_ok=True)
    if (account := _account()) is not None and os.geteuid() == 0:
        os.chown(folder, account.pw_uid, account.pw_gid)
    return subprocess.run([*_as_account(), "test", "-w", str(folder)], check=False, cwd="/").returncode == 0


def _version() -> str:
    """The version of the programs: a cluster is read by its own major version only."""
    said = subprocess.run([str(_program("postgres")), "--version"], capture_output=True, check=True, text=True)
    return said.stdout.split()[2]


def _account() -> pwd.struct_passwd | None:
    """The account that a cluster of root's runs as."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def _as_account() -> list[str]:
    account = _account()
    if os.geteuid() != 0 or account is None:
        return []
    return ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
