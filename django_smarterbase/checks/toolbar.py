"""Checks of the debug toolbar's panel. The toolbar has them run, since without the application nobody else would."""

from __future__ import annotations

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning

OLDEST = 5
_SETTING = "DEBUG_TOOLBAR_PANELS"


def check_toolbar(version: str) -> list[CheckMessage]:
    """The findings about a project whose toolbar, of this ``version``, has the panel."""
    return [*check_application_installed(), *check_toolbar_version(version)]


def check_application_installed() -> list[CheckMessage]:
    """E009: the panel's template cannot be found, so it cannot be opened."""
    if apps.is_installed("django_smarterbase"):
        return []
    return [
        Error(
            f"{_SETTING} has the SmarterBasePanel, but 'django_smarterbase' is not in INSTALLED_APPS: the panel's "
            "template and stylesheet cannot be found.",
            hint="Add 'django_smarterbase' to INSTALLED_APPS.",
            obj=_SETTING,
            id="smarterbase.E009",
        )
    ]


def check_toolbar_version(version: str) -> list[CheckMessage]:
    """W009: a toolbar that the panel is not made for."""
    if int(version.partition(".")[0]) >= OLDEST:
        return []
    return [
        Warning(
            f"{_SETTING} has the SmarterBasePanel, which is made for django-debug-toolbar {OLDEST} or newer; "
            f"{version} is installed.",
            hint=f"Upgrade it: pip install 'django-debug-toolbar>={OLDEST}'.",
            obj=_SETTING,
            id="smarterbase.W009",
        )
    ]
