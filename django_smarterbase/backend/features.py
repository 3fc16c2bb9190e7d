"""What the engine can do, as Django asks it."""

from __future__ import annotations

from typing import Final

from django.db.backends.sqlite3.features import DatabaseFeatures as SQLiteFeatures
from django.utils.functional import cached_property

RAW_LOCKS: Final = "Raw SQL locks no rows, as SQLite runs it; what select_for_update() adds to the SQL is a comment."
FOREIGN_KEYS: Final = "Foreign keys are verified with the option check_foreign_keys only, as that costs requests."


class DatabaseFeatures(SQLiteFeatures):
    """SQLite's features, less what only a database file can do, plus what shared objects can."""

    can_introspect_foreign_keys = True
    test_db_allows_multiple_connections = True
    can_use_chunked_reads = False
    has_select_for_update = True
    has_select_for_update_nowait = True
    has_select_for_update_skip_locked = True
    has_select_for_update_of = True
    has_select_for_no_key_update = True
    supports_explaining_query_execution = True
    supported_explain_formats = {"JSON", "TEXT"}

    @property
    def supports_foreign_keys(self) -> bool:
        """Whether the option ``check_foreign_keys`` is on."""
        return bool(self.connection.settings_dict["OPTIONS"].get("check_foreign_keys", False))

    @cached_property
    def django_test_skips(self) -> dict[str, set[str]]:
        """Tests of Django's own suite that this engine does not pass, ``{reason: test ids}``."""
        skips = {**super().django_test_skips, RAW_LOCKS: _RAW_LOCK_TESTS}
        return skips if self.supports_foreign_keys else {**skips, FOREIGN_KEYS: _FOREIGN_KEY_TESTS}


_RAW_LOCK_TESTS: Final = {
    "select_for_update.tests.SelectForUpdateTests.test_for_update_after_from",
    "select_for_update.tests.SelectForUpdateTests.test_nowait_raises_error_on_block",
    "select_for_update.tests.SelectForUpdateTests.test_raw_lock_not_available",
    "select_for_update.tests.SelectForUpdateTests.test_skip_locked_skips_locked_rows",
}
_FOREIGN_KEY_TESTS: Final = {
    "fixtures_regress.tests.TestFixtures.test_loaddata_raises_error_when_fixture_has_invalid_foreign_key",
    "get_or_create.tests.GetOrCreateTransactionTests.test_get_or_create_integrityerror",
    "many_to_many.tests.ManyToManyQueryTests.test_count_join_optimization",
    "many_to_many.tests.ManyToManyQueryTests.test_exists_join_optimization",
    "model_fields.test_uuid.TestAsPrimaryKeyTransactionTests.test_unsaved_fk",
}
