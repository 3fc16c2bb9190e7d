"""``docs/howto/tenants.md``, followed: each of its two ways in a project of its own, with requests by host name."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from testproject.services import RedisServer
from tests.acceptance.test_tutorial import Block

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "howto" / "tenants.md"
DEADLINE = 120  # seconds
_FILE = re.compile(r'^ *```python title="([^"]+)"\n(.*?)^ *```$', re.MULTILINE | re.DOTALL)

SETTINGS = """
IN_MEMORY = {{"BACKEND": "django.core.files.storage.InMemoryStorage"}}
SECRET_KEY = "tests"
ALLOWED_HOSTS = [".example.org", "acme", "globex"]
ROOT_URLCONF = "library.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django_smarterbase",
    "library",
]
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
DATABASES = {{
    "default": {{"ENGINE": "django_smarterbase.backend", "NAME": "library", "OPTIONS": {{"fsync": False}}}}
}}
STORAGES = {{
    "default": IN_MEMORY,
    "staticfiles": IN_MEMORY,
    "smarterbase": {{
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {{"location": {folder!r}}},
    }},
}}
CACHES = {{
    "default": {{"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    "smarterbase": {{
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": {redis!r},
        "OPTIONS": {{"SOCKET_CONNECT_TIMEOUT": 1, "SOCKET_TIMEOUT": 1}},
    }},
}}
"""
MODELS = """
from django.db import models


class Book(models.Model):
    title = models.CharField(max_length=50, db_index=True)
    shelf = models.CharField(max_length=2, default="A1")
"""
URLS = """
import asyncio

from django.core.cache import cache
from django.http import JsonResponse
from django.urls import path

from library.models import Book


def titles():
    return list(Book.objects.order_by("pk").values_list("title", flat=True))


def add(request, title):
    Book.objects.create(title=title)
    cache.set("latest", title)
    return JsonResponse(titles(), safe=False)


def show(request):
    visits = request.session["visits"] = request.session.get("visits", 0) + 1
    return JsonResponse([titles(), cache.get("latest"), visits], safe=False)


async def wait(request):
    await asyncio.sleep(0.01)
    return JsonResponse([book.title async for book in Book.objects.order_by("pk")], safe=False)


urlpatterns = [path("add/<title>", add), path("show", show), path("wait", wait)]
"""
BLOCKS = """
import asyncio, json
from asgiref.testing import ApplicationCommunicator
from django.core.asgi import get_asgi_application
from django.test import Client
from django_smarterbase.tenants import tenants

def ask(host, path, client=None):
    response = (client or Client()).get(path, headers={"host": host})
    return response.json() if response.status_code == 200 else response.status_code

async def ask_asgi(host):
    headers = [(b"host", host.encode())]
    scope = {"type": "http", "method": "GET", "path": "/wait", "query_string": b"", "headers": headers}
    server = ApplicationCommunicator(get_asgi_application(), scope)
    await server.send_input({"type": "http.request"})
    status = (await server.receive_output(30))["status"]
    return json.loads((await server.receive_output(30))["body"]) if status == 200 else status

async def together():
    return await asyncio.gather(*(ask_asgi(f"{name}.example.org") for name in ("acme", "globex") * 5))

client = Client()
print(json.dumps({
    "acme": ask("acme.example.org", "/add/Ulysses"),
    "again": ask("ACME.example.org", "/add/Dubliners"),
    "globex": ask("globex.example.org", "/add/Emma"),
    "shown": [ask(f"{name}.example.org", "/show", client) for name in ("acme", "globex", "acme")],
    "unknown": ask("initech.example.org", "/show"),
    "impossible": [ask("x" * 201 + ".example.org", "/show"), asyncio.run(ask_asgi("x" * 201 + ".example.org"))],
    "together": asyncio.run(together()),
    "tenants": tenants(),
}))
"""
ALIASES = """
import json
from django.test import Client
from library.models import Book

def ask(host, path):
    return Client().get(path, headers={"host": host}).json()

print(json.dumps({
    "acme": ask("acme.example.org", "/add/Ulysses"),
    "globex": ask("globex.example.org", "/add/Emma"),
    "again": ask("acme.example.org", "/add/Dubliners"),
    "using": list(Book.objects.using("acme").filter(shelf="A1").values_list("title", flat=True)),
    "none": Book.objects.count(),
}))
"""


class Project:
    """A project that follows some blocks of the page."""

    def __init__(self, folder: Path, server: RedisServer) -> None:
        self.folder = folder
        package = folder / "library"
        package.mkdir()
        settings = SETTINGS.format(folder=str(folder / "objects"), redis=server.url)
        made = {"__init__.py": "", "models.py": MODELS, "urls.py": URLS, "settings.py": settings}
        for name, text in made.items():
            (package / name).write_text(text)

    def follow(self, block: Block) -> None:
        """Write the file that a block shows, or add it to the settings."""
        path = self.folder / block.title
        before = path.read_text() + "\n" if block.title.endswith("settings.py") else ""
        path.write_text(before + block.text)

    def manage(self, *arguments: str, text: str = "") -> str:
        """What ``manage.py`` prints."""
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(self.folder), str(ROOT))),
            "DJANGO_SETTINGS_MODULE": "library.settings",
            "PYTHONWARNINGS": "error",
        }
        done = subprocess.run(
            [sys.executable, "-m", "django", *arguments],
            cwd=self.folder,
            env=environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A Redis of the projects' own."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def project(tmp_path: Path, server: RedisServer) -> Project:
    """A project that has followed nothing yet."""
    return Project(tmp_path, server)


def files() -> list[Block]:
    """The files that the page shows, those in a list too."""
    return [Block("python", title, dedent(text)) for title, text in _FILE.findall(PAGE.read_text())]


def test_page_has_the_blocks_that_are_followed() -> None:
    assert [block.title for block in files()] == [
        "library/middleware.py",
        "library/settings.py",
        "library/caching.py",
        "library/settings.py",
        "library/settings.py",
        "library/tenancy.py",
        "library/settings.py",
    ]


def test_each_host_name_has_its_tenant_when_the_middleware_opens_a_block(project: Project) -> None:
    for block in files()[:4]:
        project.follow(block)
    project.manage("makemigrations", "library", "-v", "0")
    for name in ("acme", "globex", "initech"):
        project.manage("sb_tenant", name, "migrate", "-v", "0")
    answers = json.loads(project.manage("shell", "-v", "0", text=BLOCKS))
    assert answers == {
        "acme": ["Ulysses"],
        "again": ["Ulysses", "Dubliners"],
        "globex": ["Emma"],
        # One cookie jar: a session of one tenant is none of the other's.
        "shown": [
            [["Ulysses", "Dubliners"], "Dubliners", 1],
            [["Emma"], "Emma", 1],
            [["Ulysses", "Dubliners"], "Dubliners", 1],
        ],
        "unknown": [[], None, 1],
        "impossible": [404, 404],
        "together": [["Ulysses", "Dubliners"], ["Emma"]] * 5,
        "tenants": ["acme", "globex", "initech"],
    }
    assert project.manage("sb_tenant", "--list") == "acme\nglobex\ninitech\n"
    project.manage("sb_check", "--tenant", "acme", "library")


def test_each_host_name_has_its_alias_when_a_router_reads_a_context_variable(project: Project) -> None:
    for block in files()[4:]:
        project.follow(block)
    project.manage("makemigrations", "library", "-v", "0")
    for alias in ("default", "acme", "globex"):
        project.manage("migrate", "--database", alias, "-v", "0")
    assert json.loads(project.manage("shell", "-v", "0", text=ALIASES)) == {
        "acme": ["Ulysses"],
        "globex": ["Emma"],
        "again": ["Ulysses", "Dubliners"],
        "using": ["Ulysses", "Dubliners"],
        "none": 0,
    }
    folders = {path.name for path in (project.folder / "objects" / "tenants").iterdir()}
    assert folders == {"acme", "globex"}
