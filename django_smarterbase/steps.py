"""The numbered steps of the protocols, so that a test can end a process at each of them.

With the environment variable ``SMARTERBASE_CRASH_AT`` set to the name of a step (and ``:n`` for its n-th time), the
process kills itself with SIGKILL when it gets there. Without it a step costs one comparison.
"""

from __future__ import annotations

import os
import signal
from typing import Final

VARIABLE: Final = "SMARTERBASE_CRASH_AT"

_armed, _, _times = os.environ.get(VARIABLE, "").partition(":")
_left = int(_times or 1) if _armed else 0


def reach(step: str) -> None:
    """Note that the protocols got to ``step``; the end of the process when it is armed."""
    if _armed and step == _armed:
        _count_down()


def _count_down() -> None:
    global _left
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
