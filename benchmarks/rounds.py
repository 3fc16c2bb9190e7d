"""Interleaved measuring: in each round every engine does the same thing once, each round beginning with another."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from benchmarks.dataset import Pick, pick
from benchmarks.operations import Operation

_SLOW: Final = 10


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
    def spread(self) -> tuple[float, float]:
        """The quartiles, in milliseconds: half of the samples lie between them."""
        if len(self.samples) < 2:
            return self.samples[0], self.samples[0]
        low, _, high = statistics.quantiles(self.samples, n=4, method="inclusive")
        return low, high

    @property
    def fastest(self) -> float:
        """The fastest sample, in milliseconds."""
        return min(self.samples)


def measure(
    operation: Operation, aliases: list[str], *, documents: int, rounds: int, budget: float
) -> dict[str, Timing]:
    """Run the rounds of one operation, as many as fit in ``budget`` seconds; ``{alias: Timing}``. Raises AnswersDiffer.

    One round before the first is not counted, but for engines so slow that they would take a tenth of the budget in
    each: of these it is the only one.
    """
    engines = [alias for alias in aliases if alias in operation.engines]
    end = time.monotonic() + budget
    first = _round(operation, engines, pick(documents, -1), 0)
    fast = [alias for alias in engines if first[alias] <= budget * 1000 / _SLOW]
    samples: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds_of(operation, rounds) if fast else 0):
        if number > 0 and time.monotonic() > end:
            break
        for alias, took in _round(operation, fast, pick(documents, number), number % len(fast)).items():
            samples[alias].append(took)
    return {alias: Timing(tuple(samples[alias] or [first[alias]])) for alias in engines}


def rounds_of(operation: Operation, rounds: int) -> int:
    """How many rounds an operation takes, if there is time for them."""
    return max(1, rounds // operation.every)


def _round(operation: Operation, engines: list[str], chosen: Pick, first: int) -> dict[str, float]:
    answers, took = {}, {}
    for alias in engines[first:] + engines[:first]:
        answers[alias], took[alias] = _timed(operation, alias, chosen)
    if operation.compared:
        _compare(operation, answers)
    return took


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
