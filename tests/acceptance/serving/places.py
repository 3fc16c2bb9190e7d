"""The site's objects, in a folder or in a bucket, and what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import boto3

from tests.serving import DEADLINE, REDIS_TIMEOUT, ROOT

PASSWORD = "a hundred may know it"
NAME = "testproject"

_FILL = f"""
import django
django.setup()
from django.contrib.auth.models import User
from django.core.management import call_command
from testproject.articles.models import Article, Author
call_command("migrate", verbosity=0)
User.objects.create_superuser("admin", password={PASSWORD!r})
author = Author.objects.create(name="Mary Somerville")
Article.objects.bulk_create(
    Article(author=author, category="science", title=f"article {{number}}", status="published") for number in range(8)
)
"""


def variables_of(redis_url: str) -> dict[str, str]:
    """The environment of a site whose outages are short."""
    return {
        "REDIS_URL": redis_url,
        "DJANGO_SETTINGS_MODULE": "tests.acceptance.serving.settings",
        "SMARTERBASE_SECRET_KEY": "one of all processes",
        "SMARTERBASE_TRUST_SECONDS": "0.5",
        "SMARTERBASE_REDIS_TIMEOUT": REDIS_TIMEOUT,
        "SMARTERBASE_WRITE_DEADLINE": "5",
        "PYTHONWARNINGS": "always::ResourceWarning",
    }


@dataclass(frozen=True)
class Place:
    """Where a site's objects are; ``variables`` are those of its environment. Read past the site itself."""

    folder: Path
    variables: Mapping[str, str]
    endpoint: str | None = None
    bucket: str = ""

    def fill(self) -> None:
        """An administrator, and eight published articles of one author."""
        done = subprocess.run(
            [sys.executable, "-c", _FILL],
            cwd=ROOT,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE,
        )
        assert done.returncode == 0, done.stderr

    def environment(self) -> dict[str, str]:
        """The environment of a process beside the site."""
        return {"PATH": "", "SMARTERBASE_OBJECTS": str(self.folder / "objects"), **self.variables}

    @property
    def store_port(self) -> int:
        """The port of the S3 server."""
        return urlsplit(self.endpoint).port or 0

    def documents(self, table: str) -> dict[str, dict[str, Any]]:
        """``{key: document}`` of a table with UUIDs, as they are stored."""
        return {str(UUID(Path(key).stem)): json.loads(body) for key, body in self._bodies(f"{NAME}/{table}/")}

    def names(self, prefix: str) -> list[str]:
        """The keys of the objects under ``prefix`` of this database."""
        return [key for key, _ in self._bodies(f"{NAME}/{prefix}")]

    def _bodies(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        if self.endpoint is None:
            root = self.folder / "objects"
            yield from ((str(path.relative_to(root)), path.read_bytes()) for path in (root / prefix).rglob("*.json"))
            return
        bucket = boto3.resource(
            "s3", endpoint_url=self.endpoint, aws_access_key_id="testing", aws_secret_access_key="testing"
        ).Bucket(self.bucket)
        for found in bucket.objects.filter(Prefix=prefix):
            yield found.key, found.get()["Body"].read()
