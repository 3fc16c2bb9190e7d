"""Test databases: another prefix in the same storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.backends.base.creation import TEST_DATABASE_PREFIX
from django.db.backends.sqlite3.creation import DatabaseCreation as SQLiteCreation

from django_smarterbase.backend.resources import Resources, close_resources, resources_for
from django_smarterbase.backend.upkeep import copy_database, delete_database
from django_smarterbase.conf import Options

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper


class DatabaseCreation(SQLiteCreation):
    """A test database is the prefix ``test_<NAME>``; it is deleted before and after."""

    connection: DatabaseWrapper

    @staticmethod
    def is_in_memory_db(database_name: Any) -> bool:
        """False, whatever the name: the workspace is in memory, the documents are not."""
        return False

    def _get_test_db_name(self) -> str:
        settings = self.connection.settings_dict
        name: str = settings["TEST"]["NAME"] or TEST_DATABASE_PREFIX + settings["NAME"]
        return name

    def _resources(self, name: str) -> Resources:
        return resources_for(self.connection.alias, {**self.connection.settings_dict, "NAME": name})

    def _create_test_db(self, verbosity: int, autoclobber: bool, keepdb: bool = False) -> str:
        name = self._get_test_db_name()
        if not keepdb:
            if verbosity >= 1:
                self.log(f"Deleting old objects of {self._get_database_display_str(verbosity, name)}...")
            self._destroy_test_db(name, verbosity)
        return name

    def _destroy_test_db(self, test_database_name: str, verbosity: int) -> None:
        delete_database(self._resources(test_database_name))
        close_resources(test_database_name)

    def _clone_test_db(self, suffix: str, verbosity: int, keepdb: bool = False) -> None:
        target = self.get_test_db_clone_settings(suffix)["NAME"]
        if not keepdb:
            self._destroy_test_db(target, verbosity)
        copy_database(self._resources(self.connection.settings_dict["NAME"]), self._resources(target))

    def setup_worker_connection(self, _worker_id: int) -> None:
        """Point this process at its copy."""
        self.connection.settings_dict.update(self.get_test_db_clone_settings(str(_worker_id)))
        self.connection.close()

    def test_db_signature(self) -> tuple[Any, ...]:
        """Two aliases with the same signature share a test database."""
        settings = self.connection.settings_dict
        return (settings["ENGINE"], Options.parse(settings["OPTIONS"]).storage, self._get_test_db_name())
