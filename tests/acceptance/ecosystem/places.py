"""Where the shop's rows are, and how its commands and tests are run there, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from testproject.services import LOOPBACK, free_port

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = "tests.acceptance.ecosystem.project.settings"
DEADLINE = 240  # seconds


@dataclass(frozen=True)
class Place:
    """``kind`` is ``sqlite`` (stock Django), ``files`` or ``s3`` (its server's ``endpoint`` and a ``bucket``)."""

    kind: str
    folder: Path
    endpoint: str = ""
    bucket: str = ""
    settings: str = SETTINGS
    redis_port: int = field(default_factory=free_port)

    def run(self, *command: str, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments in the shop's environment. It must succeed, unless ``check`` is off."""
        done = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env={**self._environment(), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def manage(self, *arguments: str, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a management command, warnings being errors."""
        return self.run("-W", "error", "-m", "django", *arguments, check=check, **variables)

    def pytest(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run tests of the shop with pytest-django."""
        return self.run("-m", "pytest", "-p", "no:cacheprovider", f"--ds={self.settings}", *arguments, check=check)

    def _environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
            "DJANGO_SETTINGS_MODULE": self.settings,
            "ECOSYSTEM_PLACE": self.kind,
            "ECOSYSTEM_FOLDER": str(self.folder),
            "ECOSYSTEM_S3": self.endpoint,
            "ECOSYSTEM_BUCKET": self.bucket,
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": f"redis://{LOOPBACK}:{self.redis_port}/0",
        }
