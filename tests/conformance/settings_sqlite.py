"""Settings for Django's ``runtests.py``: stock SQLite, the yardstick. What the engine's settings share is here."""

DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3"},
    "other": {"ENGINE": "django.db.backends.sqlite3"},
}
SECRET_KEY = "not-a-secret-in-conformance-runs"
# Django's own test settings choose a fast hasher too: passwords are not what these runs are about.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "tests.conformance.runner.RecordingRunner"
