"""The shop with a user model of its own."""

from tests.acceptance.ecosystem.project.settings import *  # noqa: F403
from tests.acceptance.ecosystem.project.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.acceptance.ecosystem.project.accounts"]
AUTH_USER_MODEL = "accounts.Member"
