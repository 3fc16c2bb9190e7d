"""Settings for Django's ``runtests.py``: stock SQLite, the yardstick. What the engine's settings share is here."""

DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3"},
    "other": {"ENGINE": "django.db.backends.sqlite3"},
}
SECRET_KEY = "django_tests_secret_key"  # some of Django's tests compare it, or what is made with it
# Django's own test settings choose a fast hasher too: passwords are not what these runs are about.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "tests.conformance.runner.RecordingRunner"
