"""What a run keeps under ``.cache/bench`` (removed by ``make clean``): the data of each size, and every result.

A run that was interrupted goes on where it was, operation by operation. Results count for as long as the code that they
depend on stays the same, data for as long as the model and the generator do.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.counts import Counts
from benchmarks.rounds import Timing

ROOT: Final = Path(__file__).resolve().parents[1]
CACHE: Final = ROOT / ".cache" / "bench"
_MODELS: Final = "testproject/articles/models.py"
_GENERATOR: Final = ("benchmarks/dataset.py", "benchmarks/filling.py", _MODELS)
_MEASURING: Final = ("counts", "engines", "everything", "operations", "peers", "rounds", "s3")


def digest_of_code() -> str:
    """What the times depend on: the engine, what measures it, the models, and the rows."""
    engine = [path for path in (ROOT / "django_smarterbase").rglob("*") if path.suffix in (".py", ".lua")]
    measuring = [ROOT / "benchmarks" / f"{name}.py" for name in _MEASURING]
    return _digest([*engine, *measuring, *(ROOT / name for name in _GENERATOR)])


def data_folder(cache: Path, documents: int) -> Path:
    """Where the data of a size lie, under a name that says which generator has made them."""
    return cache / "data" / f"{documents}-{_digest(ROOT / name for name in _GENERATOR)}"


def drop_others(folder: Path) -> None:
    """Remove the data that other generators have made of the size of ``folder``: a million documents take gigabytes."""
    documents = folder.name.partition("-")[0]
    for other in folder.parent.glob(f"{documents}-*"):
        if other != folder:
            shutil.rmtree(other)


def _digest(files: Any) -> str:
    digest = hashlib.blake2b(digest_size=4)
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@dataclass
class SizeResults:
    """What one size has given so far. ``reindex`` is of the first one: seconds, and what it took in Redis in MiB.

    ``everything`` is what the peer that keeps everything in Redis takes there, in MiB.
    """

    documents: int
    code: str
    facts: dict[str, str] = field(default_factory=dict)
    timings: dict[str, dict[str, Timing]] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)
    reindex: dict[str, float] = field(default_factory=dict)
    everything: float | None = None
    left_out: list[str] = field(default_factory=list)

    def keep(self, file: Path) -> None:
        """Write it down; a run that dies meanwhile leaves the file as it was."""
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self), indent=1))
        fresh.replace(file)

    @classmethod
    def kept(cls, file: Path, documents: int, code: str) -> Self:
        """What was written down of the same code; otherwise nothing yet."""
        if not file.exists() or (raw := json.loads(file.read_text()))["code"] != code:
            return cls(documents, code)
        raw["timings"] = {
            key: {alias: Timing(tuple(timing["samples"])) for alias, timing in engines.items()}
            for key, engines in raw["timings"].items()
        }
        raw["counts"] = {key: Counts(**counts) for key, counts in raw["counts"].items()}
        return cls(**raw)


def results_file(cache: Path, documents: int) -> Path:
    """Where the results of a size lie."""
    return cache / "results" / f"{documents}.json"
