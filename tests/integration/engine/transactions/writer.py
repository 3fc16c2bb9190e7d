"""A site in a process of its own: ``python -m tests.integration.engine.transactions.writer FOLDER COMMAND``."""

from __future__ import annotations

import sys

import django
from django.conf import settings

DEADLINE = 0.6


def configure(folder: str) -> None:
    """Settings of a site whose objects are files in ``folder``, without indexes."""
    settings.configure(
        SECRET_KEY="tests",
        USE_TZ=True,
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "testproject.articles"],
        DATABASES={
            "default": {
                "ENGINE": "django_smarterbase.backend",
                "NAME": "site",
                "OPTIONS": {"cache": None, "trust_seconds": 0.1, "write_deadline": DEADLINE, "fsync": False},
            }
        },
        STORAGES={
            "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
            "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
            "smarterbase": {
                "BACKEND": "django.core.files.storage.FileSystemStorage",
                "OPTIONS": {"location": folder},
            },
        },
    )
    django.setup()


def transfer() -> None:
    """Move 10 views from the first article to each of the others, rename the first author, and add an article."""
    from django.db import transaction

    from testproject.articles.models import Article, Author

    with transaction.atomic():
        for article in Article.objects.exclude(title="first"):
            article.view_count += 10
            article.save()
        first = Article.objects.get(title="first")
        first.view_count -= 30
        first.save()
        Author.objects.update(name="renamed")
        Article.objects.create(author=first.author, category="c", title="added", body="")


def add_user(name: str) -> None:
    """Create a user whose name is unique."""
    from django.contrib.auth.models import User

    User.objects.create(username=name)


if __name__ == "__main__":
    configure(sys.argv[1])
    if sys.argv[2] == "transfer":
        transfer()
    else:
        add_user(sys.argv[3])
