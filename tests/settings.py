"""Settings of the tests: objects in memory, and the Redis of the fixture ``redis_url``."""

import os

from testproject.services import LOOPBACK, free_port

REDIS_URL = os.environ.get("REDIS_URL") or f"redis://{LOOPBACK}:{free_port()}/0"

SECRET_KEY = "tests"
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django_smarterbase",
    "testproject.articles",
]
DATABASES = {
    "default": {
        "ENGINE": "django_smarterbase.backend",
        "NAME": "tests",
        # Short, so that a test of an outage or of a rebuild takes no longer than it must; and an index that was lost
        # stays so until a test has it rebuilt.
        # Profiles are made only by tests that listen.
        "OPTIONS": {"trust_seconds": 0.2, "write_deadline": 1.0, "auto_reindex": False, "profile_history": 0},
    },
}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "smarterbase": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        # Long: a Redis that runs, on a machine that stands still, is no Redis that hangs.
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 20, "SOCKET_TIMEOUT": 20},
    },
}
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "smarterbase": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
}
STATIC_URL = "static/"
# For the tests that install the toolbar. Its panel of the SQL wraps every cursor, so ours is seen to work inside it.
DEBUG_TOOLBAR_PANELS = [
    "debug_toolbar.panels.history.HistoryPanel",
    "debug_toolbar.panels.sql.SQLPanel",
    "django_smarterbase.contrib.debug_toolbar.SmarterBasePanel",
]
