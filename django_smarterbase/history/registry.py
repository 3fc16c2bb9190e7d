"""The histories of this process, one for each smarterbase database, and what installs them."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from django_smarterbase.conf import ENGINE, Options
from django_smarterbase.history.history import ProfileHistory
from django_smarterbase.history.sender import Sender
from django_smarterbase.profiling import recorder
from django_smarterbase.profiling.profile import QueryProfile

#: For how many seconds an interpreter that exits waits until its last profiles are sent.
FAREWELL: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Known:
    """A history, and the settings that it was made for."""

    name: str
    raw_options: Mapping[str, Any]
    history: ProfileHistory

    @classmethod
    def of(cls, alias: str, config: Mapping[str, Any]) -> _Known:
        name, raw = config["NAME"], dict(config["OPTIONS"])
        return cls(name, raw, ProfileHistory(alias, name, Options.parse(raw)))

    def is_of(self, config: Mapping[str, Any]) -> bool:
        return bool(self.name == config["NAME"] and self.raw_options == config["OPTIONS"])


class _Process:
    """What one process has; a forked child begins with nothing, and with no thread."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.histories: dict[str, _Known] = {}
        self.sender = Sender(self.opened)

    def opened(self) -> list[ProfileHistory]:
        """The histories that have been asked for."""
        with self.lock:
            return [known.history for known in self.histories.values()]

    def history_of(self, alias: str, config: Mapping[str, Any]) -> ProfileHistory:
        """As the function. NAME and OPTIONS are looked at each time, so a change of the settings counts at once."""
        known = self.histories.get(alias)
        if known is None or not known.is_of(config):
            with self.lock:
                known = self.histories.get(alias)
                if known is None or not known.is_of(config):
                    known = self.histories[alias] = _Known.of(alias, config)
        return known.history


_process = _Process()


def history_of(alias: str) -> ProfileHistory:
    """The history of the database ``alias``. Raises ImproperlyConfigured when it is no smarterbase database."""
    config = connections.settings.get(alias, {})
    if config.get("ENGINE") != ENGINE:
        raise ImproperlyConfigured(f"{alias!r} is no database with the engine {ENGINE!r}, so it has no history.")
    return _process.history_of(alias, config)


def histories() -> list[ProfileHistory]:
    """The histories of all smarterbase databases that keep one, in the order of ``DATABASES``."""
    aliases = [alias for alias, config in connections.settings.items() if config.get("ENGINE") == ENGINE]
    return [history for history in map(history_of, aliases) if history.is_on]


def install() -> None:
    """Keep the profiles of this process from now on, unless every database has ``profile_history`` 0.

    Calling it twice is once. The recorder then makes a profile of every statement.
    """
    configs = [config for config in connections.settings.values() if config.get("ENGINE") == ENGINE]
    if any(config.get("OPTIONS", {}).get("profile_history") != 0 for config in configs):
        recorder.add_sink(_keep)


def uninstall() -> None:
    """Keep no more profiles; what has been kept is sent yet."""
    recorder.remove_sink(_keep)


def _keep(profile: QueryProfile) -> None:
    config = connections.settings.get(profile.database)
    if config is None:
        return  # a connection that was made by hand, under an alias that no setting has
    process = _process
    process.sender.notice(process.history_of(profile.database, config).keep(profile))


def _say_farewell() -> None:
    _process.sender.end(FAREWELL)


def _forked() -> None:
    global _process
    _process = _Process()


atexit.register(_say_farewell)
os.register_at_fork(after_in_child=_forked)
