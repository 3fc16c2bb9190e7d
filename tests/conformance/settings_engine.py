"""Settings for Django's ``runtests.py``: this engine, with or without Redis, on memory, on files or on S3.

The command passes the choices through the environment: CONFORMANCE_REDIS_URL (empty: ``cache`` is None),
CONFORMANCE_OUTAGES (1: that Redis dies again and again) and CONFORMANCE_FILES (a directory) or CONFORMANCE_S3 (the
options of S3Storage as JSON; both empty: objects live in memory).
"""

import json
import os
from typing import Any

from tests.conformance.settings_sqlite import (
    DEFAULT_AUTO_FIELD,
    PASSWORD_HASHERS,
    SECRET_KEY,
    TEST_RUNNER,
    USE_TZ,
)

__all__ = ["DEFAULT_AUTO_FIELD", "PASSWORD_HASHERS", "SECRET_KEY", "TEST_RUNNER", "USE_TZ"]

_redis_url = os.environ.get("CONFORMANCE_REDIS_URL", "")
_outages = os.environ.get("CONFORMANCE_OUTAGES") == "1"
_files = os.environ.get("CONFORMANCE_FILES", "")
_s3 = os.environ.get("CONFORMANCE_S3", "")

# A single process and no crash to outlive: a short lease only keeps the tests that wait for it quick. Rows are locked
# for the write deadline, which a rebuild waits for: where indexes are rebuilt between two outages, it must be short.
_OPTIONS: dict[str, Any] = {
    "cache": "smarterbase" if _redis_url else None,
    "trust_seconds": 0.05,
    "write_deadline": 0.2 if _outages else 10.0,
    "fsync": False,
    # Where Redis loses everything time and again, its indexes come back between two outages.
    "auto_reindex": _outages,
}

DATABASES = {
    "default": {"ENGINE": "django_smarterbase.backend", "NAME": "default", "OPTIONS": {**_OPTIONS}},
    "other": {"ENGINE": "django_smarterbase.backend", "NAME": "other", "OPTIONS": {**_OPTIONS}},
}

STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "smarterbase": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
}
if _files:
    STORAGES["smarterbase"] = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": _files},
    }
if _s3:
    STORAGES["smarterbase"] = {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": json.loads(_s3)}

CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
if _redis_url:
    CACHES["smarterbase"] = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": _redis_url}
