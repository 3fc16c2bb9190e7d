"""The German catalogue: compiled from what is in the sources, and whole for the pages of the admin."""

from __future__ import annotations

import gettext
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils.translation import override

from django_smarterbase.panel import wording
from django_smarterbase.panel.filters import FilterForm

PACKAGE = Path(__file__).resolve().parents[3] / "django_smarterbase"
CATALOGUE = PACKAGE / "locale" / "de" / "LC_MESSAGES"
TEMPLATES = PACKAGE / "templates" / "admin" / "django_smarterbase"
#: What is the same in German, or stands in Django's own catalogue.
SAME = {"p50", "p95", "p99", "Redis", "Home", "All", "Fallback", "Fallbacks", "fallback"}

_TRANSLATED = re.compile(r'{% translate "([^"]+)" %}')
_BLOCK = re.compile(r"{% blocktranslate(.*?)%}(.*?)(?:{% plural %}.*?)?{% endblocktranslate %}", re.DOTALL)


def texts() -> Iterator[str]:
    """The texts of the templates, as they stand in the catalogue."""
    for template in sorted(TEMPLATES.glob("*.html")):
        source = template.read_text()
        yield from _TRANSLATED.findall(source)
        for options, text in _BLOCK.findall(source):
            lines = [line.strip() for line in text.splitlines()]
            whole = " ".join(line for line in lines if line) if " trimmed" in options else text
            yield named(whole)


def named(text: str) -> str:
    """A text with the names of its variables as gettext writes them."""
    parts = re.split(r"({{ \w+ }})", text)
    return "".join(f"%({part[3:-3]})s" if part.startswith("{{ ") else part.replace("%", "%%") for part in parts)


def test_every_text_of_the_templates_is_in_german() -> None:
    with (CATALOGUE / "django.mo").open("rb") as file:
        catalogue = gettext.GNUTranslations(file)
    found = list(texts())
    assert len(found) > 100
    missing = [text for text in found if text not in SAME and catalogue.ngettext(text, "\0", 1) == text]
    assert sorted(set(missing) - same_in_both(catalogue, missing)) == []


def same_in_both(catalogue: gettext.GNUTranslations, candidates: list[str]) -> set[str]:
    """Those that the catalogue has, with the very same words."""
    known = catalogue._catalog  # type: ignore[attr-defined]
    return {text for text in candidates if text in known or (text, 0) in known}


def test_every_state_is_in_german() -> None:
    words = [*wording.REASONS.values(), *wording.KINDS.values(), *wording.STATUSES.values(), *wording.VERDICTS.values()]
    english = [str(word) for word in words]
    with override("de"):
        german = [str(word) for word in words]
    assert [word for word, other in zip(english, german, strict=True) if word == other] == []


def test_fields_of_the_filters_are_in_german() -> None:
    with override("de"):
        labels = [str(field.label) for field in FilterForm({}, ["a", "b"]).fields.values()]
    assert labels == [
        "Zeitraum", "Von", "Bis", "Datenbank", "Modell", "Methode enthält", "Langsam", "Fallback",
        "Vollscan", "Gescheitert",
    ]  # fmt: skip


def test_catalogue_is_compiled_from_its_source(tmp_path: Path) -> None:
    if shutil.which("msgfmt") is None:
        pytest.skip("No msgfmt. Install it with: apt install gettext")
    compiled = tmp_path / "django.mo"
    subprocess.run(["msgfmt", "-o", compiled, CATALOGUE / "django.po"], check=True, capture_output=True)
    with compiled.open("rb") as fresh, (CATALOGUE / "django.mo").open("rb") as kept:
        assert gettext.GNUTranslations(fresh)._catalog == gettext.GNUTranslations(kept)._catalog  # type: ignore[attr-defined]
