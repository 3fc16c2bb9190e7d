"""Django's cache of content types, which knows databases and no tenants: each tenant gets one of its own.

A content type's id may be another in another tenant, so the cache of one must not answer in the other.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any, Final

from django.apps import apps

from django_smarterbase.recent import Recent
from django_smarterbase.tenancy import tenant_of

Entries = dict[Any, Any]  # {id or (app_label, model): ContentType}, as ContentTypeManager fills it

#: Of how many tenants a process keeps the content types.
TENANTS_KEPT: Final = 100


class ContentTypeCache(MutableMapping[str, Entries]):
    """``{database alias: entries}`` as ``ContentTypeManager`` uses it; within a tenant's block the tenant's own."""

    def __init__(self) -> None:
        self._of_databases: dict[str, Entries] = {}
        self._of_tenants: Recent[tuple[str, str], Entries] = Recent(TENANTS_KEPT)

    def __getitem__(self, alias: str) -> Entries:
        tenant = tenant_of(alias)
        return self._of_databases[alias] if tenant is None else self._of_tenants.get((alias, tenant), dict)

    def __setitem__(self, alias: str, entries: Entries) -> None:
        if tenant_of(alias) is None:
            self._of_databases[alias] = entries
        else:
            self[alias].update(entries)

    def __delitem__(self, alias: str) -> None:
        self._of_tenants.discard(lambda key: key[0] == alias)
        del self._of_databases[alias]

    def __iter__(self) -> Iterator[str]:
        return iter(self._of_databases)

    def __len__(self) -> int:
        return len(self._of_databases)

    def forget_tenant(self, alias: str, tenant: str) -> None:
        """Forget the content types of a tenant that is gone."""
        self._of_tenants.discard(lambda key: key == (alias, tenant))

    def clear(self) -> None:
        """Forget everything, of all databases and tenants."""
        self._of_databases.clear()
        self._of_tenants.discard(lambda _key: True)


#: The one of this process: a manager that is made anew goes on with it.
content_types: Final = ContentTypeCache()


def separate_content_types() -> None:
    """Let the managers of content types, if the application is installed, use this cache."""
    if not apps.is_installed("django.contrib.contenttypes"):
        return
    from django.contrib.contenttypes.models import ContentType, ContentTypeManager

    meta = ContentType._meta
    # Those in use are copies of the local ones, which Django makes again when an application is added.
    for manager in (*meta.local_managers, *meta.managers):
        if isinstance(manager, ContentTypeManager):
            manager._cache = content_types  # type: ignore[attr-defined]
