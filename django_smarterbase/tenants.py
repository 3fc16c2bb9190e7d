"""Tenants: rows of the same models, kept apart by a prefix of their own, without an entry in ``DATABASES`` each.

::

    with tenant("acme"):
        Book.objects.create(title="Ulysses")     # <NAME>/_tenants/acme/library_book/...

    tenants()                                    # ["acme"]
    delete_tenant("acme")
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, cast

from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from django_smarterbase.backend.resources import close_resources
from django_smarterbase.backend.upkeep import delete_database
from django_smarterbase.conf import ENGINE
from django_smarterbase.contenttypes import content_types
from django_smarterbase.history import forget_tenant
from django_smarterbase.routers import smarterbase_alias, smarterbase_aliases
from django_smarterbase.storage.keys import tenant_folder
from django_smarterbase.tenancy import close_block, open_block, tenant_of

if TYPE_CHECKING:
    from django_smarterbase.backend.base import DatabaseWrapper

P = ParamSpec("P")
R = TypeVar("R")

__all__ = ["current_tenant", "delete_tenant", "tenant", "tenants"]


class tenant:  # noqa: N801 - it reads as a noun at its place of use, like transaction.atomic
    """Work for the tenant ``name`` of a database in a block, or in a function as its decorator; costs no request.

    ``using`` is the alias, by default that of the models that ``SmarterBaseRouter`` knows. ``name`` None leaves the
    tenants: within it the database's own rows are meant. Blocks may be nested, the innermost one counts.

    The block holds for this thread or asyncio task, for the tasks that are started in it and for ``sync_to_async``; not
    for a ``threading.Thread``. Which tenant a statement is for is decided when it runs: a query set that was made in
    one block and is evaluated in another reads the other's rows.

    Raises InvalidTenant, ImproperlyConfigured for an alias that is no smarterbase database, and TenantInTransaction in
    a transaction that belongs to another tenant. RuntimeError tells that blocks were left in another order than they
    were entered in, as a generator can that yields within one.
    """

    def __init__(self, name: str | None, *, using: str | None = None) -> None:
        if name is not None:
            tenant_folder(name)
        self.name = name
        self.using = using

    def __enter__(self) -> Self:
        alias = _alias(self.using)
        for connection in connections.all(initialized_only=True):
            if connection.alias == alias:
                cast("DatabaseWrapper", connection).refuse_other_tenant(self.name)
        open_block(self, alias, self.name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not close_block(self):
            raise RuntimeError(
                f"The block of tenant({self.name!r}) ends while another one is open that was entered after it. Leave "
                "blocks in the reverse order; do not let a generator yield within one to code that enters others."
            ) from error

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Wrap a function or coroutine function. Raises TypeError for a generator function, whose body runs after the
        call has ended."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"tenant() cannot decorate the generator function {function.__qualname__}(): its body runs after the "
                "call. Use a with block inside it."
            )
        if inspect.iscoroutinefunction(function):
            return cast("Callable[P, R]", self._around_coroutine(function))

        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            with self:
                return function(*args, **kwargs)

        return wrapper

    def _around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self:
                return await function(*args, **kwargs)

        return wrapper


def current_tenant(using: str | None = None) -> str | None:
    """The tenant of the database ``using`` for which this context works; None outside of any."""
    return tenant_of(_alias(using))


def tenants(using: str | None = None) -> list[str]:
    """The tenants that have objects in the store, in alphabetical order.

    On S3 one request for a thousand tenants; on other storages one listing, and one more a tenant. A tenant for which
    nothing was ever written is not among them. Raises StorageUnavailable.
    """
    with tenant(None, using=using):
        resources = _connection(using).resources
    folders = resources.store.folders(resources.keys.tenants_prefix())
    found = (resources.keys.tenant_of_folder(folder) for folder in folders)
    return sorted(name for name in found if name is not None)


def delete_tenant(name: str, using: str | None = None) -> None:
    """Delete every object of a tenant, its index sets and its history. Nobody may use it meanwhile, and other processes
    that have used it are to be restarted before its name is used again.

    One listing, a request for each object, and a SCAN of Redis. One that does not exist is no error. Raises
    InvalidTenant, TransactionManagementError within a transaction, StorageUnavailable, and IndexUnavailable when Redis
    cannot be reached: the objects are gone then, and to call it again deletes the rest.
    """
    connection = _connection(using)
    connection.validate_no_atomic_block()
    with tenant(name, using=using):
        resources = connection.resources
        delete_database(resources)
        connection.close()
        close_resources(resources.name, name)
        forget_tenant(resources.database, name)
        content_types.forget_tenant(resources.database, name)
        resources.indexes.erase()


def _connection(using: str | None) -> DatabaseWrapper:
    return cast("DatabaseWrapper", connections[_alias(using)])


def _alias(using: str | None) -> str:
    alias = smarterbase_alias() if using is None else using
    if alias is None or alias not in smarterbase_aliases():
        raise ImproperlyConfigured(
            f"{alias!r} is no database with the engine {ENGINE!r}, so it has no tenants. Those are: "
            f"{', '.join(smarterbase_aliases()) or 'none'}."
        )
    return alias
