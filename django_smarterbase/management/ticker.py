"""What a check is doing right now."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol


class Stage(enum.StrEnum):
    """What a check is at."""

    DOCUMENTS = "documents"
    RECORDS = "records"
    SETS = "index sets"
    COUNTS = "counts"
    CLAIMS = "claims"
    PACKS = "packs"
    TRANSACTIONS = "transactions"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Activity:
    """``subject`` is a model's label or a database's alias; ``number`` counts documents, claims or the like, or is
    seconds. Of a table also its name and database are told, and that it is the ``position``-th of ``tables``.
    """

    stage: Stage
    subject: str = ""
    number: int = 0
    database: str = ""
    table: str = ""
    position: int = 0
    tables: int = 0

    def __str__(self) -> str:
        if self.stage is Stage.WAITING:
            return f"waiting {self.number} s to see whether what looks abandoned is"
        number = f" {self.number:,}" if self.number else ""
        return f"{self.subject}: {self.stage}{number}"


class Ticker(Protocol):
    """Is told again and again what goes on."""

    def say(self, activity: Activity) -> None:
        """This goes on now. Called many times a second."""

    def clear(self) -> None:
        """Make room for other output."""
