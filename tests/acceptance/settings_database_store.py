"""The example site whose debug toolbar keeps its data in the database: in documents, as everything there."""

from testproject.settings import *  # noqa: F403

DEBUG_TOOLBAR_CONFIG = {"TOOLBAR_STORE_CLASS": "debug_toolbar.store.DatabaseStore"}
