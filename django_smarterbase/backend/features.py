"""What the engine can do, as Django asks it."""

from __future__ import annotations

from typing import Final

from django.db.backends.sqlite3.features import DatabaseFeatures as SQLiteFeatures
from django.utils.functional import cached_property

RAW_LOCKS: Final = "Raw SQL locks no rows, as SQLite runs it; what select_for_update() adds to the SQL is a comment."
TRANSACTION_MODE: Final = "The workspace is private to a connection: there are no locks whose mode could be chosen."
NO_FILE: Final = "A database is a prefix in a storage, and no file: two of one name in two storages are two."
FOREIGN_KEYS: Final = "Foreign keys are verified with the option check_foreign_keys only, as that costs requests."
TOLD_KEYS: Final = "Introspection tells foreign keys, as inspectdb needs them, though they are not enforced."
MODELS: Final = (
    "The model in the query says what columns and constraints its table has, since the scratch table is made of it. The "  # noqa: E501
    "test goes on with a model of before or after a migration, where a database would go by the table."
)
OLD_MODELS: Final = (
    "No document is rewritten: where a migration gives nulls a value, a model from before reads nulls still."
)
NEW_MODELS: Final = "A model works without migrate, so a query of one without a table is no error."
NOT_DEFERRED: Final = "No SQL is left to the end: a migration is recorded in the transaction that carries it out."
QUOTED: Final = "A name that brings its own quotes is taken as it is: it names objects, too."


class _IsOn:
    """Whether an option is on, read on access. A test may set the feature of a connection, and delete it again."""

    def __init__(self, option: str) -> None:
        self._option = option

    def __get__(self, features: SQLiteFeatures, kind: type) -> bool:
        return bool(features.connection.settings_dict["OPTIONS"].get(self._option, False))


class DatabaseFeatures(SQLiteFeatures):
    """SQLite's features, less what only a database file can do, plus what shared objects can."""

    can_introspect_foreign_keys = True
    test_db_allows_multiple_connections = True
    has_select_for_update = True
    has_select_for_update_nowait = True
    has_select_for_update_skip_locked = True
    has_select_for_update_of = True
    has_select_for_no_key_update = True
    supports_explaining_query_execution = True
    supported_explain_formats = {"JSON", "TEXT"}

    supports_foreign_keys = _IsOn("check_foreign_keys")

    @cached_property
    def django_test_skips(self) -> dict[str, set[str]]:
        """Tests of Django's own suite that this engine does not pass, ``{reason: test ids}``."""
        skips = {**super().django_test_skips, **_SKIPS}
        return skips if self.supports_foreign_keys else {**skips, **_SKIPS_WITHOUT_FOREIGN_KEYS}


_SKIPS: Final = {
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
    MODELS: {
        "migrations.test_operations.OperationTests.test_add_constraint",
        "migrations.test_operations.OperationTests.test_add_covering_unique_constraint",
        "migrations.test_operations.OperationTests.test_add_deferred_unique_constraint",
        "migrations.test_operations.OperationTests.test_add_func_unique_constraint",
        "migrations.test_operations.OperationTests.test_add_partial_unique_constraint",
        "migrations.test_operations.OperationTests.test_composite_pk_operations",
        "migrations.test_operations.OperationTests.test_create_model_with_deferred_unique_constraint",
        "migrations.test_operations.OperationTests.test_remove_constraint",
        "migrations.test_operations.OperationTests.test_remove_func_unique_constraint",
        "migrations.test_operations.OperationTests.test_remove_partial_unique_constraint",
        "schema.tests.SchemaTests.test_add_field_default_nullable",
        "schema.tests.SchemaTests.test_add_field_default_transform",
        "schema.tests.SchemaTests.test_add_textfield_default_nullable",
        "schema.tests.SchemaTests.test_ci_cs_db_collation",
        "schema.tests.SchemaTests.test_unique",
        "schema.tests.SchemaTests.test_unique_together",
    },
    OLD_MODELS: {
        "migrations.test_operations.OperationTests.test_alter_field_change_blank_nullable_database_default_to_not_null",
        "migrations.test_operations.OperationTests.test_alter_field_change_nullable_to_database_default_not_null",
        "migrations.test_operations.OperationTests.test_alter_field_change_nullable_to_decimal_database_default_not_null",
        "schema.tests.SchemaTests.test_alter_field_default_dropped",
        "schema.tests.SchemaTests.test_alter_null_to_not_null",
        "schema.tests.SchemaTests.test_alter_text_field_to_not_null_with_default_value",
    },
    NEW_MODELS: {
        "schema.tests.SchemaTests.test_creation_deletion",
        "schema.tests.SchemaTests.test_creation_deletion_reserved_names",
    },
    NOT_DEFERRED: {
        "migrations.test_commands.MigrateTests.test_migrate_syncdb_deferred_sql_executed_with_schemaeditor",
        "schema.tests.SchemaTests.test_rename_table_renames_deferred_sql_references",
    },
    QUOTED: {
        "schema.tests.SchemaTests.test_alter_auto_field_quoted_db_column",
        "schema.tests.SchemaTests.test_alter_primary_key_quoted_db_table",
    },
}
_SKIPS_WITHOUT_FOREIGN_KEYS: Final = {
    FOREIGN_KEYS: {
        "backends.sqlite.tests.SchemaTests.test_constraint_checks_disabled_atomic_allowed",
        "backends.sqlite.tests.SchemaTests.test_disable_constraint_checking_failure_disallowed",
        "backends.tests.FkConstraintsTests.test_check_constraints",
        "backends.tests.FkConstraintsTests.test_check_constraints_sql_keywords",
        "backends.tests.FkConstraintsTests.test_integrity_checks_on_creation",
        "backends.tests.FkConstraintsTests.test_integrity_checks_on_update",
        "test_utils.test_testcase.TestTestCase.test_fixture_teardown_checks_constraints",
        "fixtures_regress.tests.TestFixtures.test_loaddata_raises_error_when_fixture_has_invalid_foreign_key",
        "get_or_create.tests.GetOrCreateTransactionTests.test_get_or_create_integrityerror",
        "many_to_many.tests.ManyToManyQueryTests.test_count_join_optimization",
        "many_to_many.tests.ManyToManyQueryTests.test_exists_join_optimization",
        "model_fields.test_uuid.TestAsPrimaryKeyTransactionTests.test_unsaved_fk",
        "migrations.test_operations.OperationTests.test_alter_field_pk_fk",
        "migrations.test_operations.OperationTests.test_alter_field_pk_fk_db_collation",
        "migrations.test_operations.OperationTests.test_alter_field_reloads_state_fk_with_to_field_related_name_target_type_change",
        "migrations.test_operations.OperationTests.test_alter_field_reloads_state_on_fk_with_to_field_target_type_change",
        "migrations.test_operations.OperationTests.test_create_fk_models_to_pk_field_db_collation",
        "migrations.test_operations.OperationTests.test_rename_model_with_db_table_and_fk_noop",
        "schema.tests.SchemaTests.test_add_foreign_key_long_names",
        "schema.tests.SchemaTests.test_add_foreign_key_quoted_db_table",
        "schema.tests.SchemaTests.test_alter_field_fk_attributes_noop",
        "schema.tests.SchemaTests.test_alter_fk",
        "schema.tests.SchemaTests.test_alter_fk_to_o2o",
        "schema.tests.SchemaTests.test_alter_o2o_to_fk",
        "schema.tests.SchemaTests.test_alter_to_fk",
        "schema.tests.SchemaTests.test_char_field_with_db_index_to_fk",
        "schema.tests.SchemaTests.test_fk",
        "schema.tests.SchemaTests.test_fk_db_constraint",
        "schema.tests.SchemaTests.test_fk_to_proxy",
        "schema.tests.SchemaTests.test_foreign_key_index_long_names_regression",
        "schema.tests.SchemaTests.test_m2m_db_constraint",
        "schema.tests.SchemaTests.test_m2m_db_constraint_custom",
        "schema.tests.SchemaTests.test_m2m_db_constraint_inherited",
        "schema.tests.SchemaTests.test_text_field_with_db_index_to_fk",
    },
    TOLD_KEYS: {
        "schema.tests.SchemaTests.test_alter_field_fk_keeps_index",
        "schema.tests.SchemaTests.test_alter_field_fk_to_o2o",
        "schema.tests.SchemaTests.test_alter_field_o2o_keeps_unique",
        "schema.tests.SchemaTests.test_alter_field_o2o_to_fk",
    },
}
