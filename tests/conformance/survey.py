"""Which of Django's test apps need a database: Django's own runner is asked, nothing is listed by hand.

``runtests.py`` without labels hands every test module of Django to the test runner. This one builds the suite of each,
as a real run does, and writes down which databases its tests declare (``TestCase.databases``, by
``DiscoverRunner.get_databases``). It runs none of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.test.runner import DiscoverRunner
from django.test.utils import iter_test_cases

from tests.conformance.source import ROOT, SourceError

RESULT_VARIABLE = "CONFORMANCE_SURVEY"
SURVEY_SECONDS = 600


def apps_with_database(tests: Path) -> list[str]:
    """The directories of ``tests`` with a test that declares a database, in the order of the alphabet.

    One that cannot be loaded counts too: its run shows why. Raises SourceError when the survey itself fails.
    """
    with tempfile.TemporaryDirectory(prefix="conformance-") as scratch:
        result = Path(scratch) / "survey.json"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), RESULT_VARIABLE: str(result)}
        command = [sys.executable, "runtests.py", "--noinput", "--parallel=1"]
        done = subprocess.run(
            [*command, "--settings=tests.conformance.settings_survey"],
            cwd=tests,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SURVEY_SECONDS,
            check=False,
        )
        if not result.is_file():
            raise SourceError(f"Django's runner did not tell its test apps:\n{done.stderr.strip()[-2000:]}")
        found: dict[str, bool] = json.loads(result.read_text(encoding="utf-8"))
    return sorted(app for app, needs_database in found.items() if needs_database)


class Surveyor(DiscoverRunner):
    """Writes ``{test module: whether it needs a database}`` to the file named by CONFORMANCE_SURVEY."""

    def run_tests(self, test_labels: Sequence[str], **kwargs: Any) -> int:
        found = {label: self._needs_database(self.build_suite([label])) for label in test_labels}
        Path(os.environ[RESULT_VARIABLE]).write_text(json.dumps(found), encoding="utf-8")
        return 0

    def _needs_database(self, suite: unittest.TestSuite) -> bool:
        # A module that cannot be imported stands in the suite as a test that fails.
        broken = any(isinstance(test, unittest.loader._FailedTest) for test in iter_test_cases(suite))
        return broken or bool(self.get_databases(suite))
