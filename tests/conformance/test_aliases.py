"""The engine's aliases outlive a test's own STORAGES and CACHES."""

from __future__ import annotations

import pytest
from django.conf import settings
from django.core.cache import caches
from django.core.files.storage import InvalidStorageError, storages
from django.core.signals import setting_changed
from django.test import override_settings

from tests.conformance import aliases

STORAGES = {"default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}


@pytest.fixture
def engine_settings():
    own = {**STORAGES, aliases.ALIAS: STORAGES["default"]}
    with override_settings(STORAGES=own, CACHES={**CACHES, aliases.ALIAS: LOCMEM}):
        yield
        setting_changed.disconnect(dispatch_uid="conformance-aliases")


@pytest.mark.usefixtures("engine_settings")
def test_keep_hands_out_the_same_storage_when_a_test_overrides_storages():
    aliases.keep()
    before = storages[aliases.ALIAS]
    with override_settings(STORAGES=STORAGES):
        assert storages[aliases.ALIAS] is before
    assert storages[aliases.ALIAS] is before


@pytest.mark.usefixtures("engine_settings")
def test_keep_knows_the_cache_when_a_test_overrides_caches():
    aliases.keep()
    theirs = {**CACHES}
    with override_settings(CACHES=theirs):
        assert type(caches[aliases.ALIAS]).__name__ == "LocMemCache"
    assert theirs == CACHES  # the test's own dictionary is not written to


@pytest.mark.usefixtures("engine_settings")
def test_keep_leaves_django_s_default_of_the_setting_to_tests_that_compare_it():
    aliases.keep()
    assert settings.STORAGES == STORAGES
    assert storages[aliases.ALIAS] is not None


@pytest.mark.usefixtures("engine_settings")
def test_override_drops_the_alias_when_keep_is_not_called():
    with override_settings(STORAGES=STORAGES), pytest.raises(InvalidStorageError):
        _ = storages[aliases.ALIAS]
