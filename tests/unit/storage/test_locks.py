"""Locks between processes."""

from __future__ import annotations

import subprocess
import sys
from fcntl import LOCK_EX
from pathlib import Path

from django_smarterbase.storage.locks import attempted

FORKING = """
import os, sys
from fcntl import LOCK_EX
from django_smarterbase.storage.locks import attempted

with attempted(sys.argv[1], LOCK_EX) as descriptor:
    assert descriptor is not None
    if os.fork() == 0:
        print("forked", flush=True)
        sys.stdin.read()
    os._exit(0)
"""


def test_lock_of_a_process_that_died_is_free_though_a_child_of_it_lives(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    command = [sys.executable, "-c", FORKING, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "forked\n"
        assert process.wait(60) == 0
        with attempted(path, LOCK_EX) as descriptor:
            assert descriptor is not None
