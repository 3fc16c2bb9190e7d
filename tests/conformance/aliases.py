"""Keeps the engine's storage and cache aliases alive while a test overrides STORAGES or CACHES.

Django's tests replace these settings whole, and so would take the ground from under the database. The storage must
even stay the same instance: objects in memory belong to it.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.files.storage import storages
from django.core.signals import setting_changed

ALIAS = "smarterbase"


def keep() -> None:
    """Put the aliases back after every change of the settings, in this process, for good."""
    if ALIAS not in settings.STORAGES:
        return
    storage = storages[ALIAS]
    del settings.STORAGES[ALIAS]  # it is open, and Django's tests compare the setting with its default
    cache = settings.CACHES.get(ALIAS)

    # Django's own receivers, which empty the handlers, were connected earlier and so run before this one.
    def restore(*, setting: str, **_: Any) -> None:
        if setting in ("STORAGES", "STATIC_ROOT", "STATIC_URL"):
            storages._storages[ALIAS] = storage
        if setting == "CACHES" and cache is not None:
            caches.settings = {**caches.settings, ALIAS: cache}

    setting_changed.connect(restore, weak=False, dispatch_uid="conformance-aliases")
