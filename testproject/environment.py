"""Every environment variable that the example site reads, in one place.

===============================  ==================================================================================
``REDIS_URL``                    where the indexes live; without it the site works by scanning
``SMARTERBASE_REDIS_TIMEOUT``    for how many seconds a request waits for Redis (default 0.25)
``SMARTERBASE_NAME``             prefix of the object keys (default ``testproject``)
``SMARTERBASE_OBJECTS``          folder of the objects (default ``testproject/var/objects``)
``SMARTERBASE_TRUST_SECONDS``    option ``trust_seconds`` (default 2)
``SMARTERBASE_WRITE_DEADLINE``   option ``write_deadline`` (default 15)
``SMARTERBASE_AUTO_REINDEX``     option ``auto_reindex``: 1 (default) or 0
``SMARTERBASE_S3_BUCKET``        a bucket, which then holds the objects in place of the folder
``SMARTERBASE_S3_ENDPOINT_URL``  the S3 server (default: AWS)
``SMARTERBASE_S3_ACCESS_KEY``    and ``SMARTERBASE_S3_SECRET_KEY``: without them boto3 looks for credentials itself
``SMARTERBASE_S3_REGION``        the bucket's region
``SMARTERBASE_TOOLBAR``          1: the debug toolbar with the panel of this package, where DEBUG is on; or 0 (default)
``SMARTERBASE_SECRET_KEY``       Django's SECRET_KEY (default: a new one each start, which ends all sessions)
===============================  ==================================================================================
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

VAR = Path(__file__).resolve().parent / "var"


@dataclass(frozen=True)
class Environment:
    """The settings that come from outside. Durations are in seconds."""

    redis_url: str | None = None
    redis_timeout: float = 0.25
    name: str = "testproject"
    objects: Path = VAR / "objects"
    trust_seconds: float = 2.0
    write_deadline: float = 15.0
    auto_reindex: bool = True
    s3_bucket: str | None = None
    s3_endpoint_url: str | None = None
    s3_access_key: str | None = None
    s3_secret_key: str | None = None
    s3_region: str | None = None
    toolbar: bool = False
    secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(50), repr=False)

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Self:
        """Take what is set and not empty. Raises ValueError for a duration or a switch that is none."""
        given = {field: variables[name] for field, name in VARIABLES.items() if variables.get(name)}
        values: dict[str, Any] = dict(given)
        for duration in ("redis_timeout", "trust_seconds", "write_deadline"):
            if duration in given:
                values[duration] = _seconds(VARIABLES[duration], given[duration])
        for switch in ("auto_reindex", "toolbar"):
            if switch in given:
                values[switch] = _switch(VARIABLES[switch], given[switch])
        if "objects" in given:
            values["objects"] = Path(given["objects"]).absolute()
        return cls(**values)

    def variables(self) -> dict[str, str]:
        """The environment variables that make ``read`` return this value."""
        return {name: _text(value) for field, name in VARIABLES.items() if (value := getattr(self, field)) is not None}

    def storage(self) -> dict[str, Any]:
        """The entry of STORAGES for the objects."""
        if self.s3_bucket is None:
            backend = "django.core.files.storage.FileSystemStorage"
            return {"BACKEND": backend, "OPTIONS": {"location": self.objects}}
        options = {
            "bucket_name": self.s3_bucket,
            "endpoint_url": self.s3_endpoint_url,
            "access_key": self.s3_access_key,
            "secret_key": self.s3_secret_key,
            "region_name": self.s3_region,
        }
        return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}

    def caches(self) -> dict[str, Any]:
        """CACHES. The index has an alias of its own, as ``cache.clear()`` would empty it."""
        caches: dict[str, Any] = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
        if self.redis_url is not None:
            # Short limits: a Redis that hangs must cost a page a fraction of a second.
            limits = {"SOCKET_CONNECT_TIMEOUT": self.redis_timeout, "SOCKET_TIMEOUT": self.redis_timeout}
            backend = "django_redis.cache.RedisCache"
            caches["smarterbase"] = {"BACKEND": backend, "LOCATION": self.redis_url, "OPTIONS": limits}
        return caches

    def database(self) -> dict[str, Any]:
        """The entry of DATABASES."""
        options = {
            "storage": "smarterbase",
            "cache": "smarterbase" if self.redis_url is not None else None,
            "trust_seconds": self.trust_seconds,
            "write_deadline": self.write_deadline,
            "auto_reindex": self.auto_reindex,
        }
        return {"ENGINE": "django_smarterbase.backend", "NAME": self.name, "OPTIONS": options}


VARIABLES = {
    "redis_url": "REDIS_URL",
    "redis_timeout": "SMARTERBASE_REDIS_TIMEOUT",
    "name": "SMARTERBASE_NAME",
    "objects": "SMARTERBASE_OBJECTS",
    "trust_seconds": "SMARTERBASE_TRUST_SECONDS",
    "write_deadline": "SMARTERBASE_WRITE_DEADLINE",
    "auto_reindex": "SMARTERBASE_AUTO_REINDEX",
    "s3_bucket": "SMARTERBASE_S3_BUCKET",
    "s3_endpoint_url": "SMARTERBASE_S3_ENDPOINT_URL",
    "s3_access_key": "SMARTERBASE_S3_ACCESS_KEY",
    "s3_secret_key": "SMARTERBASE_S3_SECRET_KEY",
    "s3_region": "SMARTERBASE_S3_REGION",
    "toolbar": "SMARTERBASE_TOOLBAR",
    "secret_key": "SMARTERBASE_SECRET_KEY",
}


def _seconds(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"The environment variable {name} is {text!r}; it must be a number of seconds.") from None


def _switch(name: str, text: str) -> bool:
    if text not in {"0", "1"}:
        raise ValueError(f"The environment variable {name} is {text!r}; it must be 0 or 1.")
    return text == "1"


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
