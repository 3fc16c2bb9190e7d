"""Time against documents as SVG: both axes logarithmic, one small chart for each operation, readable on light and dark.

Drawn by hand, since a drawing of a few lines needs no library (docs/decisions).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape

from benchmarks.engines import BOTO, EVERYTHING, LOOP, OBJECTS, POSTGRES, S3, SQLITE, TITLES
from benchmarks.kept import SizeResults
from benchmarks.operations import OPERATIONS, Operation
from benchmarks.text import time_of

_COLUMNS: Final = 2
_WIDTH, _HEIGHT = 430, 270  # of a chart, in px
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 36, 34, 34  # its margins
_HEAD: Final = 62  # above the charts: the title, and what the colours mean
_ENGINES: Final = (OBJECTS, SQLITE, POSTGRES, EVERYTHING, S3, BOTO, LOOP)
_STYLE: Final = """
svg { font: 12px system-ui, sans-serif; --text: #1f2328; --faint: #59636e; --line: #d1d9e0; --ground: #ffffff;
  --default: #0550ae; --sqlite: #8250df; --postgres: #bc4c00; --everything: #1a7f37; --s3: #0aa5c4; --boto: #bf3989;
  --loop: #6e7781 }
@media (prefers-color-scheme: dark) { svg { --text: #f0f6fc; --faint: #9198a1; --line: #3d444d; --ground: #0d1117;
  --default: #58a6ff; --sqlite: #bc8cff; --postgres: #f0883e; --everything: #3fb950; --s3: #39c5cf; --boto: #f778ba;
  --loop: #9198a1 } }
.ground { fill: var(--ground) } text { fill: var(--text) } .faint { fill: var(--faint); font-size: 11px }
.title { font-size: 14px; font-weight: 600 } .grid { stroke: var(--line); stroke-width: 1 }
polyline { fill: none; stroke-width: 2 } .ours { stroke-width: 3.5 }
"""


def drawn(sizes: Sequence[SizeResults]) -> str:
    """The charts of all operations that were measured over two sizes at least, as the text of an SVG file."""
    charts = [operation for operation in OPERATIONS if len(_points(sizes, operation, OBJECTS)) > 1]
    width = _COLUMNS * _WIDTH
    height = _HEAD + -(-len(charts) // _COLUMNS) * _HEIGHT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-label="Time of each operation against the number of documents, for each engine">',
        f"<style>{_STYLE}{''.join(_color_rules())}</style>",
        f'<rect class="ground" width="{width}" height="{height}"/>',
        *_head(sizes, charts),
    ]
    for number, operation in enumerate(charts):
        row, column = divmod(number, _COLUMNS)
        lines.append(f'<g transform="translate({column * _WIDTH} {_HEAD + row * _HEIGHT})">')
        lines += _chart(sizes, operation)
        lines.append("</g>")
    return "\n".join([*lines, "</svg>", ""])


def _color_rules() -> Iterator[str]:
    for alias in _ENGINES:
        yield f".{alias} {{ stroke: var(--{alias}) }} circle.{alias} {{ fill: var(--{alias}) }}\n"


def _head(sizes: Sequence[SizeResults], charts: Sequence[Operation]) -> Iterator[str]:
    yield f'<text class="title" x="{_LEFT}" y="20">Time against documents, medians, both axes logarithmic</text>'
    x = _LEFT
    for alias in _ENGINES:
        if any(_points(sizes, operation, alias) for operation in charts):
            ours = " ours" if alias == OBJECTS else ""
            yield f'<polyline class="{alias}{ours}" points="{x},42 {x + 20},42"/>'
            yield f'<circle class="{alias}" cx="{x + 10}" cy="42" r="3"/>'
            yield f'<text class="faint" x="{x + 25}" y="46">{escape(TITLES[alias])}</text>'
            x += 38 + round(6.2 * len(TITLES[alias]))


def _points(sizes: Sequence[SizeResults], operation: Operation, alias: str) -> list[tuple[int, float]]:
    """(documents, median in ms) of an engine, for each size that has it."""
    found = [(size.documents, size.timings.get(operation.key, {}).get(alias)) for size in sizes]
    return [(documents, timing.median) for documents, timing in found if timing is not None]


def _chart(sizes: Sequence[SizeResults], operation: Operation) -> Iterator[str]:
    curves = {alias: points for alias in _ENGINES if (points := _points(sizes, operation, alias))}
    everywhere = [time for points in curves.values() for _, time in points]
    low, high = math.floor(math.log10(min(everywhere))), math.ceil(math.log10(max(everywhere)))
    documents = [points[0] for points in curves[OBJECTS]]
    first, last = math.log10(documents[0]), math.log10(documents[-1])
    wide, tall = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def x_of(number: int) -> float:
        return _LEFT + wide * (math.log10(number) - first) / (last - first)

    def y_of(time: float) -> float:
        return _TOP + tall * (1 - (math.log10(time) - low) / max(high - low, 1))

    yield f'<text x="{_LEFT}" y="{_TOP - 12}">{escape(operation.title)}</text>'
    for power in range(low, max(high, low + 1) + 1):
        y = y_of(10.0**power)
        yield f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}"/>'
        yield f'<text class="faint" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_tick(power)}</text>'
    for number in documents:
        yield f'<text class="faint" x="{x_of(number):.1f}" y="{_HEIGHT - 12}" text-anchor="middle">{number:,}</text>'
    for alias, points in reversed(curves.items()):
        places = [(x_of(number), y_of(time)) for number, time in points]
        ours = " ours" if alias == OBJECTS else ""
        yield f'<polyline class="{alias}{ours}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>'
        for (x, y), (number, time) in zip(places, points, strict=True):
            said = escape(f"{TITLES[alias]}, {number:,} documents: {time_of(time)}")
            yield f'<circle class="{alias}" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{said}</title></circle>'


def _tick(power: int) -> str:
    """``0.1 ms``, ``10 ms``, ``100 s``."""
    return f"{10.0**power:g} ms" if power < 3 else f"{10.0 ** (power - 3):g} s"
