"""A process of the example site that does as it is told: ``python -m tests.integration.history.worker WHAT``.

With ``PATIENTLY`` in its environment its end waits for as many seconds until its last profiles are sent.
"""

from __future__ import annotations

import os
import signal
import sys
import time

import django


def find(name: str) -> None:
    """A statement whose method is ``name``."""
    from testproject.articles.models import Author

    list(Author.objects.named(name).filter(name=name))


def leave() -> None:
    """Exit right after a statement."""
    find("Leave")


def fork() -> None:
    """Fork while a profile waits; parent and child each run a statement and exit as any program does."""
    find("Before")
    child = os.fork()
    find("Child" if child == 0 else "Parent")
    if child:
        _, status = os.waitpid(child, 0)
        sys.exit(os.waitstatus_to_exitcode(status))


def fork_and_live() -> None:
    """Fork once the thread that sends is at work; the child goes on until its parent has seen that it has sent."""
    from django_smarterbase.history import history_of

    find("Before")
    while not history_of("default").read().profiles:
        time.sleep(0.05)
    child = os.fork()
    if child == 0:
        find("Child")
        signal.pause()
    while "Child" not in {profile.method for profile in history_of("default").read().profiles}:
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "testproject.settings"
    django.setup()
    from django_smarterbase.history import registry

    registry.FAREWELL = float(os.environ.get("PATIENTLY", registry.FAREWELL))  # type: ignore[misc]
    {"leave": leave, "fork": fork, "fork_and_live": fork_and_live}[sys.argv[1]]()
