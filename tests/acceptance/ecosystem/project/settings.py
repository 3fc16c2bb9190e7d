"""Settings of the shop. Where its rows are comes from the environment, set by ``places``:

=====================  ==============================================================================
``ECOSYSTEM_FOLDER``   a folder for everything that lies in files
``ECOSYSTEM_PLACE``    ``sqlite``: stock SQLite; ``files``: this engine on files; ``s3``: it on a bucket
``ECOSYSTEM_S3``       the S3 server, with a bucket called ``ECOSYSTEM_BUCKET``
``REDIS_URL``          the Redis of the indexes
=====================  ==============================================================================
"""

import os
from pathlib import Path

from botocore.config import Config

FOLDER = Path(os.environ["ECOSYSTEM_FOLDER"])
PLACE = os.environ["ECOSYSTEM_PLACE"]
REDIS_URL = os.environ["REDIS_URL"]

SECRET_KEY = "ecosystem"
ROOT_URLCONF = "tests.acceptance.ecosystem.project.urls"
ALLOWED_HOSTS = ["testserver", "localhost"]
USE_TZ = True
TIME_ZONE = "UTC"
SITE_ID = 1
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

SMARTERBASE = {
    "ENGINE": "django_smarterbase.backend",
    "NAME": "shop",
    "OPTIONS": {"trust_seconds": 0.2, "auto_reindex": False, "fsync": False},
}
STOCK = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": FOLDER / "shop.sqlite3",
    "OPTIONS": {"timeout": 30, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA synchronous=OFF"},
    "TEST": {"NAME": FOLDER / "test.sqlite3"},
}
DATABASES = {"default": STOCK if PLACE == "sqlite" else SMARTERBASE}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "database": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "shop_cache"},
    "smarterbase": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 5, "SOCKET_TIMEOUT": 5},
    },
}

BUCKET = {
    "BACKEND": "storages.backends.s3.S3Storage",
    "OPTIONS": {
        "bucket_name": os.environ.get("ECOSYSTEM_BUCKET"),
        "endpoint_url": os.environ.get("ECOSYSTEM_S3"),
        "access_key": "testing",
        "secret_key": "testing",
        "region_name": "us-east-1",
        "file_overwrite": False,
        # A busy machine may let the server of the tests wait.
        "client_config": Config(connect_timeout=5, read_timeout=20, max_pool_connections=16),
    },
}
FILES = {
    "BACKEND": "django.core.files.storage.FileSystemStorage",
    "OPTIONS": {"location": FOLDER / "objects"},
}
# Uploads lie in the same bucket, or folder, as the objects: they must not get into each other's way.
STORAGES = {
    "default": BUCKET if PLACE == "s3" else FILES,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "smarterbase": BUCKET if PLACE == "s3" else FILES,
}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.sites",
    "django.contrib.redirects",
    "django.contrib.flatpages",
    "rest_framework",
    "rest_framework.authtoken",
    "django_filters",
    "import_export",
    "django_smarterbase",
    "testproject.articles",
    "tests.acceptance.ecosystem.project.shop",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.contrib.sites.middleware.CurrentSiteMiddleware",
    "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware",
    "django.contrib.redirects.middleware.RedirectFallbackMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.DjangoModelPermissionsOrAnonReadOnly"],
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
