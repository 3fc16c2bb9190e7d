"""The toolbar runs the checks of the panel, also where nobody else would."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.test import override_settings


def found() -> list[str | None]:
    """The ids of what Django's checks find."""
    return [message.id for message in run_checks()]


@pytest.mark.usefixtures("project")
def test_check_finds_the_panel_without_the_application() -> None:
    assert found() == []
    without = [name for name in settings.INSTALLED_APPS if name != "django_smarterbase"]
    with override_settings(INSTALLED_APPS=without):
        assert found() == ["smarterbase.E009"]


@pytest.mark.usefixtures("project")
def test_check_finds_a_toolbar_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("debug_toolbar.VERSION", "4.4.6")
    assert found() == ["smarterbase.W009"]
