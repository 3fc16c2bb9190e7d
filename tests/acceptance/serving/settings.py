"""The example site's settings, with a hasher that lets a hundred people log in within seconds."""

from testproject.settings import *  # noqa: F403

DEBUG = False
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ROOT_URLCONF = "tests.acceptance.serving.urls"
LOGGING["loggers"]["django.request"] = {"level": "CRITICAL"}  # noqa: F405 - refusals and errors are a part of the tests
DATABASES["default"]["OPTIONS"]["fsync"] = False  # noqa: F405 - no test of this folder is about a loss of power
