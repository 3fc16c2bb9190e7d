"""A project with the admin, its users in the very database that the pages show, and a Redis that a test may stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.management import create_contenttypes
from django.contrib.contenttypes.models import ContentType
from django.db import connections
from django.test import Client, override_settings
from pytest_django import DjangoDbBlocker

from testproject.services import RedisServer
from tests.integration.commands.site import RecordingSite, Site, site_in

APPS = [
    "django.contrib.admin",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    *settings.INSTALLED_APPS,
]
PROJECT: dict[str, Any] = {
    "MIDDLEWARE": [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.locale.LocaleMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ],
                "string_if_invalid": "INVALID %s",
            },
        }
    ],
    "ROOT_URLCONF": "tests.integration.panel.urls",
    "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
    "TIME_ZONE": "UTC",
}


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A Redis that the module's tests stop and empty at will; each finds it running and empty."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, server: RedisServer, django_db_blocker: DjangoDbBlocker) -> Iterator[Site]:
    """An open, empty site with the admin."""
    with (
        django_db_blocker.unblock(),
        override_settings(INSTALLED_APPS=APPS),
        override_settings(**PROJECT),
        site_in(tmp_path / "objects", server, RecordingSite) as site,
    ):
        ContentType.objects.clear_cache()
        yield site
        ContentType.objects.clear_cache()
        connections.close_all()


@pytest.fixture
def client_of(site: Site) -> Callable[..., Client]:
    """A client that is logged in as a member of the staff with the permissions that are named."""

    def log_in(*codenames: str, superuser: bool = False, **options: Any) -> Client:
        name = "root" if superuser else "-".join(codenames) or "nobody"
        user = User.objects.create(username=name, is_staff=True, is_superuser=superuser)
        for codename in codenames:
            user.user_permissions.add(permission(codename))
        client = Client(**options)
        client.force_login(user)
        return client

    return log_in


def permission(codename: str) -> Permission:
    """A permission of the application, as ``migrate`` would make it."""
    from django.apps import apps
    from django.contrib.auth.management import create_permissions

    config = apps.get_app_config("django_smarterbase")
    create_contenttypes(config, verbosity=0)
    create_permissions(config, verbosity=0)
    return Permission.objects.get(content_type__app_label="django_smarterbase", codename=codename)


@pytest.fixture
def root(client_of: Callable[..., Client]) -> Client:
    """A client that is logged in as a superuser."""
    return client_of(superuser=True)
