"""A primary key that every process can make by itself and that still sorts by the time of its making."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db.models import UUIDField

if sys.version_info >= (3, 14):
    from uuid import uuid7
else:
    from uuid_utils.compat import uuid7

__all__ = ["UUID7Field", "uuid7"]

if TYPE_CHECKING:
    _UUIDField = UUIDField[Any, Any]
else:
    _UUIDField = UUIDField  # generic in the type stubs only


class UUID7Field(_UUIDField):
    """A UUID field whose default is a fresh UUIDv7 (RFC 9562, section 5.7) as a ``uuid.UUID``; not editable.

    Values made by one process rise in the order of their making, across its threads too. Between processes the order
    follows the clocks, to the millisecond.
    """

    def __init__(self, verbose_name: str | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("default", uuid7)
        kwargs.setdefault("editable", False)
        super().__init__(verbose_name, **kwargs)

    def deconstruct(self) -> tuple[str, str, Sequence[Any], dict[str, Any]]:
        """Name only what differs from this field's own defaults, so that migrations stay as they are."""
        name, path, args, kwargs = super().deconstruct()
        if self.default is uuid7:
            del kwargs["default"]
        # Django leaves out editable=True, its own default, which is not the default here.
        if self.editable:
            kwargs["editable"] = True
        else:
            del kwargs["editable"]
        return name, path, args, kwargs
