"""The check of uploads that lie among the objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.apps.registry import Apps
from django.core.checks import Warning
from django.core.files.storage import FileSystemStorage, Storage
from django.db import connections, models
from django.test.utils import isolate_apps
from storages.backends.s3 import S3Storage

from django_smarterbase.checks import uploads
from django_smarterbase.conf import ENGINE

MEMORY = "django.core.files.storage.InMemoryStorage"
FILES = "django.core.files.storage.FileSystemStorage"
S3 = "storages.backends.s3.S3Storage"


@pytest.fixture(autouse=True)
def _database(monkeypatch: pytest.MonkeyPatch) -> None:
    """One smarterbase database of the NAME "shop"."""
    config = {"default": {"ENGINE": ENGINE, "NAME": "shop", "OPTIONS": {"cache": None}}}
    monkeypatch.setattr(connections, "settings", connections.configure_settings(config))


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Callable[..., list[str]]:
    """What is found with a file field of these arguments, and these objects."""

    def find(objects: dict[str, Any], **arguments: Any) -> list[Any]:
        settings.STORAGES = {"default": {"BACKEND": MEMORY}, "smarterbase": objects}
        with isolate_apps("testproject.articles") as registry:
            assert isinstance(registry, Apps)

            class Manual(models.Model):
                file = models.FileField(**arguments)

                class Meta:
                    app_label = "articles"

            monkeypatch.setattr(uploads, "apps", registry)
            return uploads.check_uploads_are_apart()

    return find


def in_folder(location: object) -> dict[str, Any]:
    """Objects in a folder."""
    return {"BACKEND": FILES, "OPTIONS": {"location": str(location)}}


def in_bucket(bucket: str, location: str = "") -> dict[str, Any]:
    """Objects in a bucket."""
    return {"BACKEND": S3, "OPTIONS": {"bucket_name": bucket, "location": location, "region_name": "eu-central-1"}}


def bucket(name: str, location: str = "") -> Storage:
    """A bucket for uploads."""
    return S3Storage(bucket_name=name, location=location, region_name="eu-central-1")


def test_uploads_among_the_objects_are_a_warning(found, tmp_path) -> None:
    assert found(in_folder(tmp_path), storage=FileSystemStorage(tmp_path), upload_to="shop/manuals") == [
        Warning(
            "The uploads of articles.Manual.file lie among the objects of this database: a file could be taken for a "
            "document, and what deletes the database deletes them.",
            hint="Let its upload_to begin otherwise than with 'shop', or give the uploads another storage or location.",
            obj="DATABASES['default']",
            id="smarterbase.W011",
        )
    ]


@pytest.mark.parametrize("upload_to", ["shop", "shop/", "./shop/%Y/%m", "shop/a/b", "manuals/../shop"])
def test_every_folder_under_the_name_is_one_of_the_objects(found, tmp_path, upload_to: str) -> None:
    assert len(found(in_folder(tmp_path), storage=FileSystemStorage(tmp_path), upload_to=upload_to)) == 1


@pytest.mark.parametrize("upload_to", ["", "manuals", "shopping", "shop%Y/", "a/shop", lambda *_: "shop/x"])
def test_other_folders_are_no_fault(found, tmp_path, upload_to: Any) -> None:
    assert found(in_folder(tmp_path), storage=FileSystemStorage(tmp_path), upload_to=upload_to) == []


def test_folder_of_uploads_inside_that_of_the_objects_is_a_warning(found, tmp_path) -> None:
    assert len(found(in_folder(tmp_path), storage=FileSystemStorage(tmp_path / "shop"), upload_to="manuals")) == 1
    assert found(in_folder(tmp_path / "objects"), storage=FileSystemStorage(tmp_path), upload_to="shop") == []


def test_bucket_and_location_tell_places_apart(found) -> None:
    assert len(found(in_bucket("data"), storage=bucket("data"), upload_to="shop/x")) == 1
    assert len(found(in_bucket("data", "live"), storage=bucket("data", "live/shop"), upload_to="x")) == 1
    assert found(in_bucket("data"), storage=bucket("media"), upload_to="shop/x") == []
    assert found(in_bucket("data", "live"), storage=bucket("data"), upload_to="shop/x") == []


def test_storages_of_different_kinds_never_meet(found, tmp_path) -> None:
    assert found(in_bucket("data"), storage=FileSystemStorage(tmp_path), upload_to="shop") == []
    assert found({"BACKEND": MEMORY}, upload_to="shop") == []
    assert found({"BACKEND": "no.such.Storage"}, upload_to="shop") == []
