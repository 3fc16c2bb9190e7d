"""The QuerySet API with a name for the profiles, a say in how rows are found, and counts from an index alone."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Self, TypeVar, cast

from asgiref.sync import sync_to_async
from django.db import NotSupportedError, connections, models

from django_smarterbase.hints import hints_of, set_access, set_name, under_name
from django_smarterbase.profiling import recorder

M = TypeVar("M", bound=models.Model, covariant=True)

#: The methods in which Django builds queries of its own, apart from the query set's.
_BUILDERS = ("create", "get_or_create", "bulk_create", "bulk_update", "update", "delete")


def _named_throughout(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let every statement of ``method`` bear the query set's name, those that Django builds afresh included."""

    @functools.wraps(method)
    def wrapper(self: SmarterBaseQuerySet[Any], *args: Any, **kwargs: Any) -> Any:
        with under_name(hints_of(self.query).name):
            return method(self, *args, **kwargs)

    return wrapper


def _named_from_here(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Name the statements of the coroutine ``method`` while its caller is on the stack: its thread has another one."""

    @functools.wraps(method)
    async def wrapper(self: SmarterBaseQuerySet[Any], *args: Any, **kwargs: Any) -> Any:
        with under_name(self._name_or_caller()):
            return await method(self, *args, **kwargs)

    return wrapper


def _again_after_conflicts(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let ``method``, which is a transaction unless it is part of one, be run again when others were faster."""

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._for_write = True
        connection = connections[self.db]
        again = getattr(connection, "again_after_conflicts", None)
        if again is None or connection.in_atomic_block or not connection.get_autocommit():
            return method(self, *args, **kwargs)
        return again(functools.partial(method, self, *args, **kwargs))

    return wrapper


class SmarterBaseQuerySet(models.QuerySet[M]):
    """Django's QuerySet and more. On another engine ``named``, ``require_index`` and ``scan`` have no effect."""

    def named(self, name: str) -> Self:
        """Give the statements of this query set, and of what is chained to it, ``name`` in their profiles.

        A ``prefetch_related`` look-up is a query set of its own, with its own name.
        """
        clone = self.all()
        set_name(clone.query, name)
        return clone

    def require_index(self) -> Self:
        """Rather raise FullScanRefused than read a whole table."""
        clone = self.all()
        set_access(clone.query, "index")
        return clone

    def scan(self) -> Self:
        """Read whole tables and consult no index; takes back an earlier ``require_index``."""
        clone = self.all()
        set_access(clone.query, "scan")
        return clone

    def index_counts(self, field_name: str) -> dict[Any, int]:
        """Count the rows of the table by the values of an indexed field: ``{value: count}``, values that occur only.

        The index answers alone, without reading documents. Raises TypeError when this query set is filtered or
        sliced or the field stands in another table, NotSupportedError on another engine.
        """
        self._refuse_partial_counts()
        field = self._own_field(field_name)
        count = getattr(connections[self.db], "index_counts", None)
        if count is None:
            raise NotSupportedError(
                f"index_counts() needs the engine django_smarterbase.backend, but the database {self.db!r} of "
                f"{self.model._meta.label} is {connections[self.db].vendor}. Use "
                f'.values("{field_name}").annotate(count=Count("pk")) there.'
            )
        with under_name(hints_of(self.query).name):
            counts: dict[Any, int] = count(self.model, field)
            return counts

    async def aindex_counts(self, field_name: str) -> dict[Any, int]:
        """``index_counts`` in a thread."""
        with under_name(self._name_or_caller()):
            return await sync_to_async(self.index_counts)(field_name)

    @classmethod
    def as_manager(cls) -> SmarterBaseManager[Any]:
        """A SmarterBaseManager, so that the router knows the model, with the methods of this class."""
        manager: Any = SmarterBaseManager.from_queryset(cls)()
        manager._built_with_as_manager = True
        return cast("SmarterBaseManager[Any]", manager)

    def __aiter__(self) -> AsyncIterator[M]:
        name = self._name_or_caller()

        async def rows() -> AsyncIterator[M]:
            with under_name(name):
                await sync_to_async(self._fetch_all)()
            for row in self._result_cache or ():
                yield row

        return rows()

    def aiterator(self, chunk_size: int = 2000) -> AsyncIterator[M]:
        """As Django's; no result is kept."""
        name = self._name_or_caller()
        return models.QuerySet.aiterator(self if name is None else self.named(name), chunk_size)

    def _name_or_caller(self) -> str | None:
        name = hints_of(self.query).name
        return recorder.caller_method() if name is None and recorder.listening() else name

    def _refuse_partial_counts(self) -> None:
        query = self.query
        if query.where or query.is_sliced or query.combinator or query.distinct:
            raise TypeError(
                f"index_counts() counts all rows of {self.model._meta.label}, but this query set is filtered, sliced, "
                'combined or distinct. Use .values(field).annotate(count=Count("pk")) instead.'
            )

    def _own_field(self, name: str) -> models.Field[Any, Any]:
        meta = self.model._meta
        field = meta.pk if name == "pk" else meta.get_field(name)
        if not isinstance(field, models.Field) or field not in _columns(self.model):
            raise TypeError(f"index_counts() needs a field with a column in {meta.db_table!r}; {name!r} has none.")
        return field


# The signatures stay those of Django, so type checkers need not know of the wrapping.
for _name in _BUILDERS:
    setattr(SmarterBaseQuerySet, _name, _named_throughout(getattr(models.QuerySet, _name)))
_update_or_create = _again_after_conflicts(models.QuerySet.update_or_create)
setattr(SmarterBaseQuerySet, "update_or_create", _named_throughout(_update_or_create))  # noqa: B010 - as those above
for _name, _method in inspect.getmembers(models.QuerySet, inspect.iscoroutinefunction):
    setattr(SmarterBaseQuerySet, _name, _named_from_here(_method))


def _columns(model: type[models.Model]) -> Sequence[models.Field[Any, Any]]:
    """The fields with a column in the very table of ``model``; a proxy has its concrete model's."""
    return (model._meta.concrete_model or model)._meta.local_concrete_fields


class SmarterBaseManager(models.Manager[M]):
    """The manager of models that live in a smarterbase database; SmarterBaseRouter knows them by it."""

    use_in_migrations = False
    _queryset_class = SmarterBaseQuerySet

    def get_queryset(self) -> SmarterBaseQuerySet[M]:
        """A fresh query set over all rows."""
        return cast("SmarterBaseQuerySet[M]", super().get_queryset())

    def named(self, name: str) -> SmarterBaseQuerySet[M]:
        """See SmarterBaseQuerySet.named."""
        return self.get_queryset().named(name)

    def require_index(self) -> SmarterBaseQuerySet[M]:
        """See SmarterBaseQuerySet.require_index."""
        return self.get_queryset().require_index()

    def scan(self) -> SmarterBaseQuerySet[M]:
        """See SmarterBaseQuerySet.scan."""
        return self.get_queryset().scan()

    def index_counts(self, field_name: str) -> dict[Any, int]:
        """See SmarterBaseQuerySet.index_counts."""
        return self.get_queryset().index_counts(field_name)

    async def aindex_counts(self, field_name: str) -> dict[Any, int]:
        """See SmarterBaseQuerySet.aindex_counts."""
        return await self.get_queryset().aindex_counts(field_name)
