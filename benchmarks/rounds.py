"""Interleaved measuring: in each round every engine does the same thing once, each round beginning with another."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.dataset import Pick, pick
from benchmarks.operations import Operation


class AnswersDiffer(RuntimeError):
    """Two engines gave different answers, so that their times cannot be compared."""


@dataclass(frozen=True)
class Timing:
    """The samples of one operation on one engine, in milliseconds."""

    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median, in milliseconds."""
        return statistics.median(self.samples)

    @property
    def p95(self) -> float:
        """The 95th percentile (nearest rank), in milliseconds."""
        return sorted(self.samples)[max(0, -(-len(self.samples) * 95 // 100) - 1)]

    @property
    def fastest(self) -> float:
        """The fastest sample, in milliseconds."""
        return min(self.samples)


Timings = dict[str, dict[str, Timing]]  # {operation key: {alias: Timing}}


def measure(
    operations: Iterable[Operation], aliases: list[str], *, documents: int, rounds: int, say: Callable[[str], None]
) -> Timings:
    """Run all rounds. One round before the first is not counted. Raises AnswersDiffer."""
    return {
        operation.key: _measure_one(operation, aliases, documents, max(1, rounds // operation.every), say)
        for operation in operations
    }


def _measure_one(
    operation: Operation, aliases: list[str], documents: int, rounds: int, say: Callable[[str], None]
) -> dict[str, Timing]:
    say(f"{operation.title}: {rounds} rounds")
    engines = [alias for alias in aliases if alias in operation.engines]
    samples: dict[str, list[float]] = defaultdict(list)
    for number in range(-1, rounds):
        chosen = pick(documents, number)
        first = number % len(engines)
        answers = {}
        for alias in engines[first:] + engines[:first]:
            answers[alias], took = _timed(operation, alias, chosen)
            if number >= 0:
                samples[alias].append(took)
        if operation.compared:
            _compare(operation, answers)
    return {alias: Timing(tuple(samples[alias])) for alias in engines}


def _timed(operation: Operation, alias: str, chosen: Pick) -> tuple[object, float]:
    run = operation.runner(alias)
    begun = time.perf_counter()
    answer = run(alias, chosen)
    return answer, (time.perf_counter() - begun) * 1000


def _compare(operation: Operation, answers: dict[str, object]) -> None:
    expected = next(iter(answers.values()))
    for alias, answer in answers.items():
        if answer != expected:
            raise AnswersDiffer(f"{operation.title}: {alias} answers {answer!r}, another engine {expected!r}.")
