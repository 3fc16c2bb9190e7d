"""The documentation as a site: it builds without a warning, and each page can be reached."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. The build is strict: a dead link or a page that nobody lists ends it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def pages(tree: object) -> list[str]:
    """The pages of a navigation."""
    if isinstance(tree, str):
        return [tree]
    branches = tree.values() if isinstance(tree, dict) else tree
    return [page for branch in branches for page in pages(branch)]


def test_documentation_builds_strictly_and_shows_each_page(site: Path) -> None:
    configured = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    for page in pages(configured["nav"]):
        built = site / page.removesuffix(".md") / "index.html"
        if page.endswith(("index.md", "README.md")):
            built = site / Path(page).parent / "index.html"
        assert "<h1" in built.read_text(), page


def links_within(page: Path) -> Iterator[str]:
    """The paths to which a built page links on its own site."""
    for target in re.findall(r'(?:href|src)="([^"#?]+)', page.read_text()):
        if not re.match(r"[a-z]+:|/", target):
            yield unquote(target)


def test_links_of_the_built_pages_lead_somewhere(site: Path) -> None:
    found = [(page, target) for page in site.rglob("index.html") for target in links_within(page)]
    assert len(found) > 1000
    assert {
        f"{page.relative_to(site)}: {target}" for page, target in found if not (page.parent / target).exists()
    } == set()


def test_documentation_asks_no_other_host_for_fonts(site: Path) -> None:
    assert "fonts.googleapis.com" not in (site / "index.html").read_text()
