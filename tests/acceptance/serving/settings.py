"""The example site's settings, for tests of servers under load."""

from testproject.settings import *  # noqa: F403
from testproject.settings import DATABASES, LOGGING, STORAGES

DEBUG = False
ROOT_URLCONF = "tests.acceptance.serving.urls"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # a hundred people log in within seconds
DATABASES["default"]["OPTIONS"]["fsync"] = False  # no test of this folder is about a loss of power
LOGGING["loggers"]["django.request"] = {"handlers": ["console"], "level": "ERROR"}
if "bucket_name" in STORAGES["smarterbase"]["OPTIONS"]:
    from botocore.config import Config

    # The S3 server of the tests takes its time.
    STORAGES["smarterbase"]["OPTIONS"]["client_config"] = Config(connect_timeout=5, read_timeout=20)
