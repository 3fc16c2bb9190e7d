"""Interleaved measuring: in each round every engine does the same thing once, each round beginning with another."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
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


Timings = dict[str, dict[str, Timing]]  # {operation key: {alias: Timing}}


def measure(
    operation: Operation, aliases: list[str], *, documents: int, rounds: int, budget: float
) -> dict[str, Timing]:
    """Run the rounds of one operation, as many as fit in ``budget`` seconds; ``{alias: Timing}``. Raises AnswersDiffer.

    One round before the first is not counted, unless it has used half of the budget: then it is the only one.
    """
    engines = [alias for alias in aliases if alias in operation.engines]
    samples: dict[str, list[float]] = defaultdict(list)
    end = time.monotonic() + budget
    for number in range(-1, rounds_of(operation, rounds)):
        if number > 0 and time.monotonic() > end:
            break
        for alias, took in _round(operation, engines, pick(documents, number), number % len(engines)).items():
            samples[alias].append(took)
        if number == -1 and time.monotonic() > end - budget / 2:
            break
    return {alias: Timing(tuple(samples[alias][1:] or samples[alias])) for alias in engines}


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
