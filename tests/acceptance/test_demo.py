"""``make demo``'s command, in a process of its own, on files and on S3."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 120  # seconds


def demo(*command: str, errors: int = subprocess.PIPE, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the demonstration, or ``command`` in its place, and return what it said."""
    return subprocess.run(
        [sys.executable, *(command or (str(ROOT / "testproject" / "manage.py"), "demo"))],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "testproject.settings", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


def steps(output: str) -> dict[int, str]:
    """``{number of the step: its text}``."""
    parts = re.split(r"^(\d)\. ", output, flags=re.MULTILINE)
    return {int(number): text for number, text in zip(parts[1::2], parts[2::2], strict=True)}


AUTHOR_QUERY_BY_INDEX = """\
   • ListAuthorArticles: O(1)
     - Index: redis:articles-by-author
     - Storage ops: 3
"""
COUNT_BY_INDEX = """\
   • GetPublishedArticlesCount: O(1)
     - Index: redis:articles-by-status
     - Storage ops: 0
"""
AUTHOR_QUERY_BY_SCAN = """\
   • ListAuthorArticles: O(n) [FALLBACK]
     - Index: none:full-scan
"""


@pytest.mark.parametrize("s3", ["0", "1"], ids=["files", "s3"])
def test_demo_answers_right_throughout_an_outage(s3: str) -> None:
    done = demo(S3=s3, errors=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    told = steps(done.stdout)
    assert list(told) == [1, 2, 3, 4, 5, 6, 7]
    assert AUTHOR_QUERY_BY_INDEX in told[3]
    assert COUNT_BY_INDEX in told[3]
    assert AUTHOR_QUERY_BY_SCAN in told[4]
    assert AUTHOR_QUERY_BY_SCAN in told[5]
    assert AUTHOR_QUERY_BY_INDEX.replace("ops: 3", "ops: 4") in told[6]
    assert COUNT_BY_INDEX in told[6]
    assert '"title": "Written while Redis was down"' in told[7]
    assert re.search(r"^All \d+ answers were as expected\.\n\Z", done.stdout, re.MULTILINE)
    assert ("s3://demo" in done.stdout) == (s3 == "1")
    assert "\x1b" not in done.stdout


#: The demonstration with a store that counts one too many.
SABOTAGED = """
import os
from testproject.articles.demo import launch
os.environ.update(launch.variables(s3=False))
import django
django.setup()
from testproject.articles.store import ArticleStore
count = ArticleStore.published_count
ArticleStore.published_count = lambda store: count(store) + 1
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "demo"])
"""


def test_demo_fails_and_names_the_difference_when_an_answer_is_wrong() -> None:
    done = demo("-c", SABOTAGED)
    assert done.returncode == 1
    assert "DIFFERENT published articles: got 8, expected 7" in done.stdout
    assert re.search(r"\d+ of \d+ answers differ:\n - published articles: got 8, expected 7\n", done.stderr)
