"""Two databases. SITE_DEFAULT is the first one as JSON, when it is to be another one than a file of SQLite."""

import json
import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
IN_MEMORY = {"BACKEND": "django.core.files.storage.InMemoryStorage"}

SECRET_KEY = "tests"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
STATIC_URL = "static/"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_smarterbase",
    "crm",
    "library",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    "default": json.loads(os.environ.get("SITE_DEFAULT", "null"))
    or {"ENGINE": "django.db.backends.sqlite3", "NAME": HERE / "db.sqlite3"},
    "objects": {
        "ENGINE": "django_smarterbase.backend",
        "NAME": "library",
        "OPTIONS": {"fsync": False, "check_foreign_keys": True, "trust_seconds": 0.2, "write_deadline": 2.0},
    },
}
DATABASE_ROUTERS = ["django_smarterbase.routers.SmarterBaseRouter"]
STORAGES = {
    "default": IN_MEMORY,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "smarterbase": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": str(HERE / "objects")},
    },
}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
    "smarterbase": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": os.environ["SITE_REDIS"],
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 1, "SOCKET_TIMEOUT": 1},
    },
}
