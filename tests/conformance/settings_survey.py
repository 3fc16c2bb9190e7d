"""Settings for Django's ``runtests.py``: stock SQLite, and a runner that looks at the tests and runs none."""

from tests.conformance.settings_sqlite import DATABASES, DEFAULT_AUTO_FIELD, PASSWORD_HASHERS, SECRET_KEY, USE_TZ

__all__ = ["DATABASES", "DEFAULT_AUTO_FIELD", "PASSWORD_HASHERS", "SECRET_KEY", "USE_TZ"]

TEST_RUNNER = "tests.conformance.survey.Surveyor"
