"""Django's own tests: fetched once, as the source distribution of the installed version, into ``.cache/``."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import django

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "conformance"
FETCH_SECONDS = 300


class SourceError(Exception):
    """Django's source distribution cannot be had, or is not of the installed version."""


def directory_of_tests(source: Path | None) -> Path:
    """The directory of ``runtests.py``, in ``source`` (an unpacked distribution) or in the cache, filled if empty.

    Raises SourceError.
    """
    unpacked = source or CACHE / f"django-{django.__version__}"
    if source is None and not unpacked.exists():
        _fetch(unpacked)
    found = _version(unpacked)
    if found != django.__version__:
        raise SourceError(
            f"{unpacked} holds Django {found or 'of an unknown version'}, but {django.__version__} is installed. "
            "Remove the directory, or name another with --source."
        )
    return unpacked / "tests"


def _version(unpacked: Path) -> str | None:
    """The version that the distribution's metadata states, or None when it has no tests or no metadata."""
    metadata = unpacked / "PKG-INFO"
    if not metadata.is_file() or not (unpacked / "tests" / "runtests.py").is_file():
        return None
    for line in metadata.read_text(encoding="utf-8").splitlines():
        if line.startswith("Version: "):
            return line.removeprefix("Version: ").strip()
    return None


def _fetch(target: Path) -> None:
    print(f"Fetching the source distribution of Django {django.__version__} into {CACHE} ...", flush=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    # Unpacked beside its place and then renamed, so an interrupted run leaves no half of a distribution behind.
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="fetch-") as scratch:
        archive = _download(Path(scratch))
        _unpack(archive, Path(scratch))
        (Path(scratch) / target.name).rename(target)


def _download(directory: Path) -> Path:
    """Let pip fetch the distribution: it knows the user's index, proxy and certificates, and checks the hash."""
    wanted = f"django=={django.__version__}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-binary", "django", "--dest", str(directory), wanted]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"Fetching {wanted} from the package index took over {FETCH_SECONDS} s.") from error
    archives = sorted(directory.glob("*.tar.gz"))
    if done.returncode or not archives:
        raise SourceError(
            f"pip could not fetch the source distribution of {wanted}:\n{done.stderr.strip()}\n"
            "Name an unpacked one with --source to do without the package index."
        )
    return archives[0]


def _unpack(archive: Path, directory: Path) -> None:
    with tarfile.open(archive) as tar:
        # Python 3.11.3 and older have no filter; what pip fetched has passed its hash check.
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        tar.extractall(directory)
