"""The histories of this process, one for each smarterbase database and tenant, and what installs them."""

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
from django_smarterbase.recent import Recent
from django_smarterbase.tenancy import tenant_of

#: For how many seconds an interpreter that exits waits until its last profiles are sent.
FAREWELL: Final = 1.0
#: Of how many tenants a process has histories. Beyond that, one that has nothing to send makes room for another; if all
#: have, the profiles of the tenant go that has been quiet for longest.
TENANTS_KEPT: Final = 200


@dataclass(frozen=True, slots=True)
class _Known:
    """A history, and the settings that it was made for."""

    name: str
    raw_options: Mapping[str, Any]
    history: ProfileHistory

    @classmethod
    def of(cls, alias: str, config: Mapping[str, Any], tenant: str | None) -> _Known:
        name, raw = config["NAME"], dict(config["OPTIONS"])
        return cls(name, raw, ProfileHistory(alias, name, Options.parse(raw), tenant))

    def is_of(self, config: Mapping[str, Any]) -> bool:
        return bool(self.name == config["NAME"] and self.raw_options == config["OPTIONS"])


class _Process:
    """What one process has; a forked child begins with nothing, and with no thread."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.histories: dict[str, _Known] = {}
        self.of_tenants: Recent[tuple[str, str], _Known] = Recent(TENANTS_KEPT, lambda known: not known.history.waits)
        self.sender = Sender(self.opened)

    def opened(self) -> list[ProfileHistory]:
        """The histories that have been asked for."""
        with self.lock:
            known = [*self.histories.values(), *self.of_tenants.values()]
        return [each.history for each in known]

    def history_of(self, alias: str, config: Mapping[str, Any], tenant: str | None) -> ProfileHistory:
        """As the function. NAME and OPTIONS are looked at each time, so a change of the settings counts at once."""
        if tenant is not None:
            return self._of_tenant(alias, config, tenant)
        known = self.histories.get(alias)
        if known is None or not known.is_of(config):
            with self.lock:
                known = self.histories.get(alias)
                if known is None or not known.is_of(config):
                    known = self.histories[alias] = _Known.of(alias, config, None)
        return known.history

    def _of_tenant(self, alias: str, config: Mapping[str, Any], tenant: str) -> ProfileHistory:
        key = (alias, tenant)
        known = self.of_tenants.get(key, lambda: _Known.of(alias, config, tenant))
        if not known.is_of(config):
            self.of_tenants.discard(lambda each: each == key)
            known = self.of_tenants.get(key, lambda: _Known.of(alias, config, tenant))
        return known.history


_process = _Process()


def history_of(alias: str) -> ProfileHistory:
    """The history of the database ``alias``, or of its tenant for which this context works.

    Raises ImproperlyConfigured when it is no smarterbase database.
    """
    config = connections.settings.get(alias, {})
    if config.get("ENGINE") != ENGINE:
        raise ImproperlyConfigured(f"{alias!r} is no database with the engine {ENGINE!r}, so it has no history.")
    return _process.history_of(alias, config, tenant_of(alias))


def histories() -> list[ProfileHistory]:
    """The histories of all smarterbase databases that keep one, in the order of ``DATABASES``; as ``history_of``."""
    aliases = [alias for alias, config in connections.settings.items() if config.get("ENGINE") == ENGINE]
    return [history for history in map(history_of, aliases) if history.is_on]


def forget_tenant(alias: str, tenant: str) -> None:
    """Forget what this process has of a tenant's history, and send nothing of it any more."""
    _process.of_tenants.discard(lambda key: key == (alias, tenant))


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
    history = process.history_of(profile.database, config, profile.tenant)
    process.sender.notice(history.keep(profile))


def _say_farewell() -> None:
    _process.sender.end(FAREWELL)


def _forked() -> None:
    global _process
    _process = _Process()


atexit.register(_say_farewell)
os.register_at_fork(after_in_child=_forked)
