"""What the engine can do, as Django asks it."""

from __future__ import annotations

from typing import Final

from django.db.backends.sqlite3.features import DatabaseFeatures as SQLiteFeatures
from django.utils.functional import cached_property

RAW_LOCKS: Final = "Raw SQL locks no rows, as SQLite runs it; what select_for_update() adds to the SQL is a comment."
TRANSACTION_MODE: Final = "The workspace is private to a connection: there are no locks whose mode could be chosen."
NO_FILE: Final = "A database is a prefix in a storage, and no file: two of one name in two storages are two."
FOREIGN_KEYS: Final = "Foreign keys are not enforced: no object store can hold one object to another."


class DatabaseFeatures(SQLiteFeatures):
    """SQLite's features, less what only a database file can do, plus what shared objects can."""

    supports_foreign_keys = False
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

    @cached_property
    def django_test_skips(self) -> dict[str, set[str]]:
        """Tests of Django's own suite that this engine does not pass, ``{reason: test ids}``."""
        return {
            **super().django_test_skips,
            RAW_LOCKS: {
                "select_for_update.tests.SelectForUpdateTests.test_for_update_after_from",
                "select_for_update.tests.SelectForUpdateTests.test_nowait_raises_error_on_block",
                "select_for_update.tests.SelectForUpdateTests.test_raw_lock_not_available",
                "select_for_update.tests.SelectForUpdateTests.test_skip_locked_skips_locked_rows",
            },
            TRANSACTION_MODE: {
                "backends.sqlite.tests.TestTransactionMode.test_invalid_transaction_mode",
                "backends.sqlite.tests.TestTransactionMode.test_valid_transaction_modes",
            },
            NO_FILE: {
                "backends.sqlite.test_creation.TestDbSignatureTests.test_custom_test_name",
            },
            FOREIGN_KEYS: {
                "backends.sqlite.tests.SchemaTests.test_constraint_checks_disabled_atomic_allowed",
                "backends.sqlite.tests.SchemaTests.test_disable_constraint_checking_failure_disallowed",
                "backends.tests.FkConstraintsTests.test_check_constraints",
                "backends.tests.FkConstraintsTests.test_check_constraints_sql_keywords",
                "backends.tests.FkConstraintsTests.test_integrity_checks_on_creation",
                "backends.tests.FkConstraintsTests.test_integrity_checks_on_update",
                "fixtures_regress.tests.TestFixtures.test_loaddata_raises_error_when_fixture_has_invalid_foreign_key",
                "get_or_create.tests.GetOrCreateTransactionTests.test_get_or_create_integrityerror",
                "many_to_many.tests.ManyToManyQueryTests.test_count_join_optimization",
                "many_to_many.tests.ManyToManyQueryTests.test_exists_join_optimization",
                "model_fields.test_uuid.TestAsPrimaryKeyTransactionTests.test_unsaved_fk",
                "test_utils.test_testcase.TestTestCase.test_fixture_teardown_checks_constraints",
            },
        }
