"""Statements whose SQL is there to be shown (``sqlflush``): what they mean is done on the store, not by SQLite."""

from __future__ import annotations

from collections.abc import Iterable


class EmptyTable(str):
    """Deletes all documents of ``table``."""

    table: str

    def __new__(cls, sql: str, table: str) -> EmptyTable:
        statement = super().__new__(cls, sql)
        statement.table = table
        return statement


class ResetSequences(str):
    """Lets the sequences of ``tables`` begin anew."""

    tables: tuple[str, ...]

    def __new__(cls, sql: str, tables: Iterable[str]) -> ResetSequences:
        statement = super().__new__(cls, sql)
        statement.tables = tuple(tables)
        return statement
