"""Finding and checking Django's source distribution. None of these tests uses the network."""

from __future__ import annotations

import tarfile

import django
import pytest

from tests.conformance import source


def distribution(directory, version=django.__version__):
    (directory / "tests").mkdir(parents=True)
    (directory / "tests" / "runtests.py").write_text("")
    (directory / "PKG-INFO").write_text(f"Metadata-Version: 2.4\nName: Django\nVersion: {version}\n")
    return directory


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def test_directory_of_tests_uses_the_named_source_when_the_version_fits(tmp_path):
    assert source.directory_of_tests(distribution(tmp_path / "django")) == tmp_path / "django" / "tests"


def test_directory_of_tests_refuses_the_named_source_when_the_version_differs(tmp_path):
    with pytest.raises(source.SourceError, match=r"Django 1\.0, but"):
        source.directory_of_tests(distribution(tmp_path / "django", "1.0"))


def test_directory_of_tests_refuses_the_named_source_when_it_holds_no_tests(tmp_path):
    with pytest.raises(source.SourceError, match="unknown version"):
        source.directory_of_tests(tmp_path)


def test_directory_of_tests_fetches_once_when_the_cache_is_empty(cache, tmp_path, monkeypatch):
    name = f"django-{django.__version__}"
    fetched = []

    def download(directory):
        fetched.append(directory)
        packed = directory / f"{name}.tar.gz"
        with tarfile.open(packed, "w:gz") as tar:
            tar.add(distribution(tmp_path / "origin"), name)
        return packed

    monkeypatch.setattr(source, "_download", download)
    assert source.directory_of_tests(None) == source.directory_of_tests(None) == cache / name / "tests"
    assert len(fetched) == 1
    assert [entry.name for entry in cache.iterdir()] == [name]  # no scratch is left


def test_directory_of_tests_says_what_pip_said_when_fetching_fails(cache, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(source.SourceError, match=r"(?s)could not fetch.*No matching distribution.*--source"):
        source.directory_of_tests(None)
    assert list(cache.iterdir()) == []
