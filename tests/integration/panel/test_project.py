"""The models that stand for the pages make no table and no migration, in whatever database a project lives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
DEADLINE = 120  # seconds

SETTINGS = """
SECRET_KEY = "project"
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
    "django.contrib.messages", "django_smarterbase",
]
SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": "FOLDER/db.sqlite3"}
OURS = {"ENGINE": "django_smarterbase.backend", "NAME": "project", "OPTIONS": {"cache": None}}
DATABASES = {"sqlite": {"default": SQLITE, "documents": OURS}, "smarterbase": {"default": OURS}}["KIND"]
DATABASE_ROUTERS = ["django_smarterbase.routers.SmarterBaseRouter"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "smarterbase": {
        "BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": "FOLDER/objects"},
    },
}
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
"""
LIST = """
from django.contrib.auth.models import Permission
from django.db import connection
from django_smarterbase.models import IndexHealth, QueryProfiles
found = Permission.objects.filter(content_type__app_label="django_smarterbase")
tables = [name for name in connection.introspection.table_names() if "smarterbase" in name]
print(sorted(each.codename for each in found), tables, list(IndexHealth.objects.all()), QueryProfiles.objects.count())
"""


class Project:
    """A project of its own, in a folder."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        settings = SETTINGS.replace("FOLDER", str(folder)).replace("KIND", kind)
        (folder / "project_settings.py").write_text(settings)

    def manage(self, *arguments: str) -> str:
        """What a command printed; it must go well."""
        paths = os.pathsep.join([str(self.folder), str(ROOT)])
        done = subprocess.run(
            [sys.executable, "-m", "django", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": paths, "DJANGO_SETTINGS_MODULE": "project_settings"},
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.mark.parametrize("kind", ["sqlite", "smarterbase"])
def test_project_gets_permissions_but_no_table_and_no_migration(tmp_path: Path, kind: str) -> None:
    project = Project(tmp_path, kind)
    assert project.manage("makemigrations", "--check", "--dry-run") == "No changes detected\n"
    project.manage("migrate", "--verbosity", "0")
    permissions = "['change_indexhealth', 'view_indexhealth', 'view_queryprofiles']"
    assert project.manage("shell", "--verbosity", "0", "--command", LIST) == f"{permissions} [] [] 0\n"
    project.manage("migrate", "--run-syncdb", "--verbosity", "0")
    assert project.manage("shell", "--verbosity", "0", "--command", LIST) == f"{permissions} [] [] 0\n"
    for options in ((), ("--all",)):
        dumped = json.loads(project.manage("dumpdata", *options))
        assert not [each for each in dumped if each["model"].startswith("django_smarterbase.")]
    assert project.manage("check", "--fail-level", "WARNING") == "System check identified no issues (0 silenced).\n"


def test_commands_know_nothing_of_the_pages_as_tables(tmp_path: Path) -> None:
    project = Project(tmp_path, "smarterbase")
    project.manage("migrate", "--verbosity", "0")
    assert "smarterbase" not in project.manage("sb_check").lower()


def test_models_can_be_imported_where_the_application_is_not_installed(tmp_path: Path) -> None:
    project = Project(tmp_path, "sqlite")
    settings = tmp_path / "project_settings.py"
    settings.write_text(settings.read_text().replace('"django_smarterbase",', "").replace("DATABASE_ROUTERS", "OTHER"))
    code = "from django_smarterbase.models import SmarterBaseModel; print(SmarterBaseModel._meta.abstract)"
    assert project.manage("shell", "--verbosity", "0", "--command", code) == "True\n"
