"""How long a run is going to take, roughly: said before it begins, so that nobody waits in vain."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.kept import SizeResults, data_folder
from benchmarks.operations import Operation
from benchmarks.peers import Task
from benchmarks.rounds import rounds_of

_START: Final = 12.0  # seconds: servers, Django, an index of nothing
_FILL: Final = 600e-6  # seconds a document: all engines, on two cores
_INDEX: Final = 450e-6  # seconds a document: the index, and the Redis that holds everything, which are not kept


def seconds(task: Task) -> float:
    """What is missing of a size, in seconds, on a machine like that of docs/PERFORMANCE.md."""
    missing = task.missing(SizeResults.kept(task.results, task.documents, task.code))
    if not missing:
        return 0.0
    folder = data_folder(Path(task.cache), task.documents)
    fill = 0.0 if folder.exists() else _FILL * task.documents
    return _START + fill + _INDEX * task.documents + sum(_of(operation, task) for operation in missing)


def of_growth(tasks: list[Task]) -> float:
    """What the comparison of the sizes takes, in seconds: their indexes once more, and some rounds."""
    if len(tasks) < 2:
        return 0.0
    return _START + _INDEX * sum(task.documents for task in tasks)


def _of(operation: Operation, task: Task) -> float:
    """All engines take part in a first round, one more is counted by its requests, and the others take what the budget
    allows."""
    one = operation.milliseconds / 1000 + operation.microseconds / 1e6 * task.documents
    return 2 * one + min(rounds_of(operation, task.rounds) * one, task.budget)


def words(total: float) -> str:
    """``about 3 minutes``."""
    if total < 90:
        return f"about {max(1, round(total / 10)) * 10} seconds"
    return f"about {round(total / 60)} minutes" if total < 5400 else f"about {total / 3600:.1f} hours"
