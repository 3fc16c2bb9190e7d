"""Puts the same rows in every engine, fast: what is measured is how they are read, not how they got there."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import connections
from django.db.models import Model

from benchmarks.dataset import article_fields, article_pk, author_pk, authors_of
from benchmarks.engines import OBJECTS, POSTGRES, S3, SQLITE, SQLITE_UNSYNCED, SQLITE_WAL, Place
from django_smarterbase.storage.keys import stem

_PIECE: Final = 2000
Say = Callable[[str], None]


def fill(place: Place, aliases: list[str], documents: int, say: Say) -> None:
    """Fill the engines that have no data yet. What a run has begun and not ended is begun anew by the next."""
    for alias in (OBJECTS, S3):
        if alias in aliases:
            _once(place, alias, say, lambda alias=alias: write_objects(alias, documents))
    _once(place, SQLITE, say, lambda: _fill_sqlite(place, documents))
    for alias in (SQLITE_WAL, SQLITE_UNSYNCED):
        if alias in aliases:
            _once(place, alias, say, lambda alias=alias: _copy_sqlite(place, alias))
    if POSTGRES in aliases and not _has_filled_postgres():
        say(f"filling {POSTGRES}")
        _fill_postgres(documents)


def filled(place: Place, alias: str) -> Path:
    """The file that says that an engine has its data."""
    return Path(place.folder) / f"filled.{alias}"


def _once(place: Place, alias: str, say: Say, make: Callable[[], None]) -> None:
    if filled(place, alias).exists():
        return
    say(f"filling {alias}")
    make()
    filled(place, alias).touch()


def write_objects(alias: str, documents: int) -> None:
    """Write the documents of a smarterbase database as files, in the engine's own format, without fsync and without an
    index; in as many processes as there are cores."""
    from testproject.articles.models import Article, Author

    for model in (Author, Article):
        _folder_of(alias, model).mkdir(parents=True, exist_ok=True)
    tasks = [
        (alias, kind, start, min(start + _PIECE, count), documents)
        for kind, count in (("author", authors_of(documents)), ("article", documents))
        for start in range(0, count, _PIECE)
    ]
    connections.close_all()
    # Forked, so that the children need no settings of their own.
    with multiprocessing.get_context("fork").Pool(len(os.sched_getaffinity(0))) as pool:
        for _ in pool.imap_unordered(_write_piece, tasks):
            pass


def _write_piece(task: tuple[str, str, int, int, int]) -> None:
    alias, kind, start, stop, documents = task
    instances = _authors(start, stop) if kind == "author" else _articles(start, stop, documents)
    connection: Any = connections[alias]
    first = next(instances)
    codec = connection.resources.codec(connection.schema_of_model(type(first)))
    folder = f"{_folder_of(alias, type(first))}/"
    for row in _rows(alias, chain([first], instances)):
        with open(f"{folder}{stem([row[0]])}.json", "wb", buffering=0) as file:
            file.write(codec.encode(row))


def _folder_of(alias: str, model: type[Model]) -> Path:
    connection: Any = connections[alias]
    location = settings.STORAGES["smarterbase"]["OPTIONS"]["location"]
    return Path(location) / str(connection.resources.keys.table_prefix(model._meta.db_table))


def _authors(start: int, stop: int) -> Iterator[Model]:
    from testproject.articles.models import Author

    return (Author(pk=author_pk(number), name=f"Author {number:07}") for number in range(start, stop))


def _articles(start: int, stop: int, documents: int) -> Iterator[Model]:
    from testproject.articles.models import Article

    return (Article(pk=article_pk(number), **article_fields(number, documents)) for number in range(start, stop))


def _rows(alias: str, instances: Iterator[Model]) -> Iterator[tuple[Any, ...]]:
    """The values as the database gets them, the primary key first, as the model has its fields."""
    connection = connections[alias]
    for instance in instances:
        fields = instance._meta.local_concrete_fields
        yield tuple(field.get_db_prep_save(getattr(instance, field.attname), connection) for field in fields)


def _fill_sqlite(place: Place, documents: int) -> None:
    connections[SQLITE].close()
    place.sqlite_file(SQLITE).unlink(missing_ok=True)
    _create_tables(SQLITE)
    connection = connections[SQLITE]
    for instances in (_authors(0, authors_of(documents)), _articles(0, documents, documents)):
        first = next(instances)
        names = _columns(type(first))
        sql = f"INSERT INTO {first._meta.db_table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        with closing(sqlite3.connect(place.sqlite_file(SQLITE))) as sqlite, sqlite:
            sqlite.executemany(sql, _rows(SQLITE, chain([first], instances)))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    connection.close()


def _copy_sqlite(place: Place, alias: str) -> None:
    connections[SQLITE].close()
    shutil.copyfile(place.sqlite_file(SQLITE), place.sqlite_file(alias))


def _has_filled_postgres() -> bool:
    """Whether the cluster says so itself: it may be another one than in the last run."""
    with connections[POSTGRES].cursor() as cursor:
        cursor.execute("SELECT to_regclass('filled')")
        return cursor.fetchone()[0] is not None


def _fill_postgres(documents: int) -> None:
    from testproject.articles.models import Article, Author

    connection: Any = connections[POSTGRES]
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS articles, authors")
    _create_tables(POSTGRES)
    for model, instances in (
        (Author, _authors(0, authors_of(documents))),
        (Article, _articles(0, documents, documents)),
    ):
        with connection.cursor() as cursor:
            names = ", ".join(_columns(model))
            with cursor.copy(f"COPY {model._meta.db_table} ({names}) FROM STDIN") as copy:
                for row in _rows(POSTGRES, instances):
                    copy.write_row(row)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        cursor.execute("CREATE TABLE filled ()")


def _create_tables(alias: str) -> None:
    from testproject.articles.models import Article, Author

    with connections[alias].schema_editor() as editor:
        editor.create_model(Author)
        editor.create_model(Article)


def _columns(model: type[Model]) -> list[str]:
    return [str(field.column) for field in model._meta.local_concrete_fields]
