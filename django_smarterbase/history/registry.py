"""The histories of this process, one for each smarterbase database, and what installs them."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Mapping
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


class _Process:
    """What one process has; a forked child begins with nothing, and with no thread."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.histories: dict[str, tuple[str, Mapping[str, Any], ProfileHistory]] = {}
        self.sender = Sender(self.opened)

    def opened(self) -> list[ProfileHistory]:
        """The histories that have been asked for."""
        with self.lock:
            return [history for _, _, history in self.histories.values()]

    def history_of(self, alias: str) -> ProfileHistory:
        """As the function. NAME and OPTIONS are looked at each time, so a change of the settings counts at once."""
        config = connections.settings[alias]
        name, raw = config["NAME"], config["OPTIONS"]
        known = self.histories.get(alias)
        if known is not None and known[0] == name and known[1] == raw:
            return known[2]
        history = ProfileHistory(alias, name, Options.parse(raw))
        with self.lock:
            self.histories[alias] = (name, dict(raw), history)
        return history


_process = _Process()


def history_of(alias: str) -> ProfileHistory:
    """The history of the database ``alias``. Raises ImproperlyConfigured when it is no smarterbase database."""
    config = connections.settings.get(alias, {})
    if config.get("ENGINE") != ENGINE:
        raise ImproperlyConfigured(f"{alias!r} is no database with the engine {ENGINE!r}, so it has no history.")
    return _process.history_of(alias)


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
    process = _process
    process.sender.notice(process.history_of(profile.database).keep(profile))


def _say_farewell() -> None:
    _process.sender.end(FAREWELL)


def _forked() -> None:
    global _process
    _process = _Process()


atexit.register(_say_farewell)
os.register_at_fork(after_in_child=_forked)
