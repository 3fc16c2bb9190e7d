"""A project with the toolbar, and what its panel recorded of the requests of a test."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client, override_settings

from django_smarterbase.profiling import QueryProfile
from testproject.articles.models import Author

#: Loaded with the panels that the settings of the tests name.
APPS = [*settings.INSTALLED_APPS, "django.contrib.staticfiles", "debug_toolbar"]
PROJECT: dict[str, Any] = {
    "DEBUG": True,
    "INTERNAL_IPS": ["127.0.0.1"],
    "MIDDLEWARE": ["debug_toolbar.middleware.DebugToolbarMiddleware"],
    "ROOT_URLCONF": "tests.integration.toolbar.urls",
    "TEMPLATES": [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    "DEBUG_TOOLBAR_CONFIG": {"RENDER_PANELS": False},
}


@pytest.fixture
def project() -> Iterator[None]:
    """The settings of PROJECT, with the toolbar's application."""
    with override_settings(INSTALLED_APPS=APPS), override_settings(**PROJECT):
        yield


@pytest.fixture
def toolbars(project: None) -> Iterator[dict[str, Any]]:
    """``{path: toolbar}`` of the requests so far."""
    from debug_toolbar.toolbar import DebugToolbar

    made: dict[str, Any] = {}

    def note(sender: Any, toolbar: Any, **_details: Any) -> None:
        if toolbar.request is not None:
            made[toolbar.request.path] = toolbar

    DebugToolbar._created.connect(note)
    yield made
    DebugToolbar._created.disconnect(note)


@pytest.fixture
def recorded(toolbars: dict[str, Any]) -> Callable[[str], list[QueryProfile]]:
    """The profiles that the panel stored of the request for a path."""

    def profiles(path: str) -> list[QueryProfile]:
        stats = toolbars[path].get_panel_by_id("SmarterBasePanel").get_stats()
        return [QueryProfile.from_dict(facts) for facts in stats["queries"]]

    return profiles


@pytest.fixture
def ada(db: None) -> Author:
    """An author to be found."""
    return Author.objects.create(name="Ada")


def opened(client: Client, response: HttpResponse, panel_id: str = "SmarterBasePanel") -> str:
    """The HTML that the toolbar asks for when the panel of a response is opened."""
    # The toolbar calls it store_id before version 6.
    request_id = response.headers.get("djdt-request-id") or response.headers["djdt-store-id"]
    query = {"request_id": request_id, "store_id": request_id, "panel_id": panel_id}
    content: str = client.get("/__debug__/render_panel/", query).json()["content"]
    return content


def subtitle(response: HttpResponse) -> str:
    """What stands below the panel's name in the side bar."""
    button = re.search(r'id="djdt-SmarterBasePanel".*?<small>(.*?)</small>', response.content.decode(), re.DOTALL)
    assert button is not None
    return button[1]
