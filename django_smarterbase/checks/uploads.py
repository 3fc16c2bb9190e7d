"""The check of uploads: a file that a visitor sends must not be taken for a document."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage
from django.core.files.storage import FileSystemStorage, Storage
from django.db.models import FileField

from django_smarterbase.checks.databases import STORAGE_ERRORS, Database, smarterbase_databases

#: A bucket or the root folder, and the folders below it.
Place = tuple[str, ...]


def check_uploads_are_apart(**kwargs: Any) -> list[CheckMessage]:
    """W011: a file field whose uploads lie under the NAME of a database.

    What an ``upload_to`` says that is a function is not known.
    """
    return [
        database.warning(
            f"The uploads of {field} lie among the objects of this database: a file could be taken for a document, and "
            "what deletes the database deletes them.",
            hint=f"Let its upload_to begin otherwise than with {database.keys.name!r}, or give the uploads another "
            "storage or location.",
            id="W011",
        )
        for database in smarterbase_databases()
        for field in _file_fields()
        if _lie_among_objects(field, database)
    ]


def _file_fields() -> Iterator[FileField]:
    for model in apps.get_models():
        for field in model._meta.local_fields:
            if isinstance(field, FileField) and isinstance(field.upload_to, (str, Path)):
                yield field


def _lie_among_objects(field: FileField, database: Database) -> bool:
    if database.storage is None:
        return False
    objects = _place(database.storage, database.keys.prefix())
    try:
        uploads = _place(field.storage, _fixed_part(str(field.upload_to)))
    except STORAGE_ERRORS:
        return False  # Django says so wherever the field is used
    return objects is not None and uploads is not None and uploads[: len(objects)] == objects


def _fixed_part(upload_to: str) -> str:
    """The folders that stand before the first one with a part of the date."""
    fixed, percent, _ = upload_to.partition("%")
    return fixed.rpartition("/")[0] if percent else fixed


def _place(storage: Storage, folder: str) -> Place | None:
    """Where a folder of a storage is; None for a storage of another kind than folders and buckets."""
    if isinstance(storage, FileSystemStorage):
        return (Path(storage.location) / folder).resolve().parts
    bucket = getattr(storage, "bucket_name", None)
    if bucket is None:
        return None
    folders = f"{getattr(storage, 'location', '')}/{folder}".split("/")
    return (f"bucket {bucket}", *(each for each in folders if each))
