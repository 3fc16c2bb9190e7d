"""Work in daemon threads, which the end of the interpreter asks to give up."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from django_smarterbase import background

PATIENCE = 20.0  # seconds


def test_work_is_done_in_a_daemon_thread_of_its_name():
    done, seen = threading.Event(), []

    def work():
        seen.append((threading.current_thread().name, threading.current_thread().daemon))
        done.set()

    background.start("smarterbase-test", work)
    assert done.wait(PATIENCE)
    assert seen == [("smarterbase-test", True)]


def test_work_goes_on_until_the_process_ends(monkeypatch):
    background.go_on()
    monkeypatch.setattr(background, "_ending", threading.Event())
    background._ending.set()
    with pytest.raises(background.ProcessEnds):
        background.go_on()


def test_end_of_the_interpreter_lets_work_give_back_what_it_has():
    script = (
        "import time\n"
        "from django_smarterbase import background\n"
        "def work():\n"
        "    try:\n"
        "        while True:\n"
        "            background.go_on()\n"
        "            time.sleep(0.01)\n"
        "    except background.ProcessEnds:\n"
        "        print('given back')\n"
        "background.start('test', work)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "given back\n"
