"""How often and how soon a statement is run again that met a faster writer."""

from __future__ import annotations

import random
import time
from typing import Final

MAX_ATTEMPTS: Final = 12
_FIRST_PAUSE: Final = 0.002  # seconds
_LONGEST_PAUSE: Final = 0.25


def pause(attempt: int) -> None:
    """Wait a random while, longer after each attempt, so that competing writers do not meet again in step."""
    time.sleep(random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)))
