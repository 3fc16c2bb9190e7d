"""Django's own runner tells which apps need a database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.source import SourceError
from tests.conformance.survey import apps_with_database

PROBE = Path(__file__).parent / "probe"


def test_survey_names_the_apps_that_declare_a_database():
    assert apps_with_database(PROBE) == ["probe"]


def test_survey_says_what_django_said_when_it_fails(tmp_path):
    (tmp_path / "runtests.py").write_text("raise SystemExit('no such settings')")
    with pytest.raises(SourceError, match="no such settings"):
        apps_with_database(tmp_path)
