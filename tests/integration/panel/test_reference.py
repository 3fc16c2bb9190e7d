"""The reference names what the pages have: addresses, permissions, parameters, templates, objects."""

from __future__ import annotations

from pathlib import Path

from django_smarterbase.models import IndexHealth, QueryProfiles
from django_smarterbase.panel.filters import PERIODS, FilterForm
from django_smarterbase.panel.profiles import LIMIT, SORTS
from django_smarterbase.storage.keys import Keyspace
from tests.integration.commands.site import Site

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "reference" / "admin.md").read_text()


def test_reference_names_every_address(site: Site) -> None:
    from django.contrib import admin

    for model in (QueryProfiles, IndexHealth):
        for pattern in admin.site.get_model_admin(model).get_urls():
            assert f"`{str(pattern.name).removeprefix('django_smarterbase_')}`" in PAGE


def test_reference_names_every_permission() -> None:
    for model in (QueryProfiles, IndexHealth):
        for action in model._meta.default_permissions:
            assert f"`{action}_{model._meta.model_name}`" in PAGE


def test_reference_names_every_parameter() -> None:
    names = [*FilterForm({}, ["a", "b"]).fields, *PERIODS, *SORTS, "o", "p"]
    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_reference_names_the_pages_and_what_is_in_the_store() -> None:
    templates = ROOT / "django_smarterbase" / "templates" / "admin" / "django_smarterbase"
    whole = [path.name for path in templates.glob("*.html") if "{% extends" in path.read_text()]
    assert [name for name in [*whole, "base.html"] if f"`{name}`" not in PAGE] == []
    keys = Keyspace("<NAME>")
    for key in (keys.job(), keys.checks()):
        assert f"`<NAME>{key[key.index('/') :]}`" in PAGE


def test_guide_says_how_many_profiles_are_looked_at() -> None:
    assert f"latest {LIMIT:,} profiles" in " ".join((ROOT / "docs" / "howto" / "admin-panel.md").read_text().split())
