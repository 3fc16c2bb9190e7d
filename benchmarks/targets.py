"""What is aimed at, and whether it was met: a target that was missed is printed like one that was met."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.engines import OBJECTS, TITLES
from benchmarks.flat import Growth
from benchmarks.kept import SizeResults
from benchmarks.operations import OPERATIONS, Operation


@dataclass(frozen=True)
class Verdict:
    """A figure that must not be above ``limit``; or not below it, with ``at_least``."""

    name: str
    figure: float
    limit: float
    at_least: bool = False

    @property
    def is_met(self) -> bool:
        """Whether it is on the right side."""
        return self.figure >= self.limit if self.at_least else self.figure <= self.limit

    def __str__(self) -> str:
        bound = "at least" if self.at_least else "at most"
        return f"{'met   ' if self.is_met else 'MISSED'}  {self.name}: {self.figure:.2f} ({bound} {self.limit:.3g})"


def of_sizes(sizes: Sequence[SizeResults]) -> list[Verdict]:
    """The targets of the operations that were measured beside other engines."""
    return [verdict for operation in OPERATIONS for verdict in _beside(operation, sizes)]


def of_growth(growths: Sequence[Growth]) -> list[Verdict]:
    """The targets of the operations that are not to depend on the size of their table."""
    found = []
    for growth in growths:
        operation = next(operation for operation in OPERATIONS if operation.key == growth.key)
        if operation.flat is not None:
            name = f"{operation.title}, {max(growth.medians):,} documents to {min(growth.medians):,}"
            found.append(Verdict(name, growth.ratio, operation.flat))
    return found


def _beside(operation: Operation, sizes: Sequence[SizeResults]) -> Iterator[Verdict]:
    for target in operation.targets:
        for size in sizes:
            timings = size.timings.get(operation.key, {})
            if {OBJECTS, target.against} <= timings.keys():
                name = f"{operation.title}, {size.documents:,} documents, times {TITLES[target.against]}"
                yield Verdict(name, timings[OBJECTS].median / timings[target.against].median, target.ratio)
