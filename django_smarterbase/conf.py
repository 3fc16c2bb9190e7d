"""The options of ``DATABASES[alias]["OPTIONS"]``, as one typed value."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from django.core.exceptions import ImproperlyConfigured

#: ``DATABASES[alias]["ENGINE"]`` of a smarterbase database.
ENGINE: Final = "django_smarterbase.backend"


@dataclass(frozen=True)
class Options:
    """Options of one smarterbase database.

    ``trust_seconds`` and ``write_deadline`` are seconds; both must be the same in all processes that share a
    database. ``concurrency`` bounds the requests that one process has under way in the object store. With
    ``auto_reindex`` a process that finds an index untrusted rebuilds it in the background, unless another one does.
    With ``check_foreign_keys`` references are verified when they are written. With ``pack`` a process that had to read
    many documents one by one in a scan packs them in the background. ``document_cache`` names the alias in CACHES that
    keeps bodies of documents.

    ``profile_history`` is how many profiles the history of all processes holds, 0 for none; ``profile_sampling`` the
    share of ordinary profiles that are kept, from 0 to 1; ``slow_ms`` from how many ms on a statement is slow, and so
    not ordinary.
    """

    storage: str = "smarterbase"
    cache: str | None = "smarterbase"
    trust_seconds: float = 2.0
    write_deadline: float = 15.0
    on_index_outage: Literal["degrade", "refuse"] = "degrade"
    max_scan_objects: int | None = None
    on_corrupt: Literal["raise", "skip"] = "raise"
    concurrency: int = 16
    fsync: bool = True
    allow_eviction: bool = False
    show_values: bool = False
    auto_reindex: bool = True
    check_foreign_keys: bool = False
    pack: bool = False
    document_cache: str | None = None
    profile_history: int = 10_000
    profile_sampling: float = 1.0
    slow_ms: float = 100.0

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Options:
        """Read an OPTIONS dict. Raises ImproperlyConfigured; an unknown name gets the nearest known one."""
        known = {field.name for field in fields(cls)}
        for name in raw:
            if name not in known:
                raise ImproperlyConfigured(unknown_option(name))
        options = cls(**raw)
        options.validate()
        return options

    def validate(self) -> None:
        """Raise ImproperlyConfigured for a value that is out of range, naming option, value and range."""
        _one_of("on_index_outage", self.on_index_outage, ("degrade", "refuse"))
        _one_of("on_corrupt", self.on_corrupt, ("raise", "skip"))
        _positive("trust_seconds", self.trust_seconds)
        _positive("write_deadline", self.write_deadline)
        _in_time(self.write_deadline, self.trust_seconds)
        _count("concurrency", self.concurrency, least=1)
        if self.max_scan_objects is not None:
            _count("max_scan_objects", self.max_scan_objects, least=1)
        for name in ("fsync", "allow_eviction", "show_values", "auto_reindex", "check_foreign_keys", "pack"):
            _switch(name, getattr(self, name))
        _alias("document_cache", self.document_cache)
        _count("profile_history", self.profile_history, least=0)
        _share("profile_sampling", self.profile_sampling)
        _positive("slow_ms", self.slow_ms)


def unknown_option(name: str) -> str:
    """The message for an option that does not exist, with the nearest one that does."""
    known = sorted(field.name for field in fields(Options))
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {nearest[0]!r}? " if nearest else ""
    return f"Unknown smarterbase option {name!r}. {hint}The options are: {', '.join(known)}."


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ImproperlyConfigured(f"The smarterbase option {name} is {value!r}; it must be one of {allowed}.")


def _positive(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ImproperlyConfigured(f"The smarterbase option {name} is {value!r}; it must be a number above 0.")


def _in_time(write_deadline: float, trust_seconds: float) -> None:
    if write_deadline <= trust_seconds:
        raise ImproperlyConfigured(
            f"The smarterbase option write_deadline ({write_deadline:g} s) must be above trust_seconds "
            f"({trust_seconds:g} s): a write during an outage waits for the one within the other."
        )


def _switch(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ImproperlyConfigured(f"The smarterbase option {name} is {value!r}; it must be True or False.")


def _alias(name: str, value: object) -> None:
    if value is not None and (not isinstance(value, str) or not value):
        raise ImproperlyConfigured(
            f"The smarterbase option {name} is {value!r}; it must be None or the name of an alias in CACHES."
        )


def _count(name: str, value: object, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ImproperlyConfigured(
            f"The smarterbase option {name} is {value!r}; it must be a whole number, {least} or more."
        )


def _share(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ImproperlyConfigured(f"The smarterbase option {name} is {value!r}; it must be a number from 0 to 1.")
