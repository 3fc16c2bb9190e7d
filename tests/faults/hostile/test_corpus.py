"""The corpus is what its generator writes, and large enough to mean something."""

from __future__ import annotations

from collections import Counter

import pytest

from ..tally import TALLY
from . import written
from .generate import CORPUS, SOURCES, load, text_of

LEAST = {"keys": 300, "values": 300, "documents": 300, "systems": 300, "names": 60}


@pytest.mark.parametrize("name", SOURCES)
def test_corpus_is_committed_as_it_is_generated(name: str) -> None:
    assert (CORPUS / f"{name}.json").read_text() == text_of(name), "python -m tests.faults.hostile.generate"


@pytest.mark.parametrize("name", SOURCES)
def test_corpus_has_as_many_entries_as_it_is_to_have(name: str) -> None:
    entries = load(name)
    assert len({entry["id"] for entry in entries}) == len(entries)
    assert len(entries) >= LEAST[name]
    for kind, count in Counter(entry.get("kind") or entry.get("target") or "documents" for entry in entries).items():
        TALLY.count("hostile corpus", f"{name}: {kind}", count)


@pytest.mark.parametrize("name", SOURCES)
def test_written_form_of_an_entry_can_be_read(name: str) -> None:
    for entry in load(name):
        value = written.read(entry["body"] if "body" in entry else entry["value"])
        assert repr(written.read(entry.get("body", entry.get("value")))) == repr(value)
