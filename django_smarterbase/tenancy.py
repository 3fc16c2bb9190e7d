"""Which tenants the code under way works for.

The blocks that are open in a context (a thread, an asyncio task) form a chain, innermost first, in a context variable.
A task inherits the chain of whoever started it, ``sync_to_async`` takes it along, and nobody sees what others open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import ParamSpec

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class _Block:
    """An open block: ``tenants`` are ``{database alias: tenant or None}`` within it."""

    tenants: Mapping[str, str | None]
    opener: object
    outer: _Block | None


_innermost: ContextVar[_Block | None] = ContextVar("smarterbase_tenants", default=None)


def tenant_of(alias: str) -> str | None:
    """The tenant of the database ``alias`` for which this context works; None outside of any."""
    block = _innermost.get()
    return block.tenants.get(alias) if block is not None else None


def origin(alias: str, tenant: str | None) -> dict[str, str]:
    """The fields of a log record that say whose it is: ``database``, and ``tenant`` if there is one."""
    return {"database": alias} if tenant is None else {"database": alias, "tenant": tenant}


def open_block(opener: object, alias: str, tenant: str | None) -> None:
    """Work for ``tenant`` in this context until ``opener`` closes the block."""
    outer = _innermost.get()
    others = outer.tenants if outer is not None else {}
    _innermost.set(_Block({**others, alias: tenant}, opener, outer))


def close_block(opener: object) -> bool:
    """Go back to what was before the innermost block; False, and nothing is changed, when another has opened it."""
    block = _innermost.get()
    if block is None or block.opener is not opener:
        return False
    _innermost.set(block.outer)
    return True


def following(function: Callable[P, object]) -> Callable[P, object]:
    """``function`` as the target of a thread, which begins with an empty context: it works for the tenants for which
    its starter does now."""
    block = _innermost.get()

    def target(*args: P.args, **kwargs: P.kwargs) -> object:
        _innermost.set(block)
        return function(*args, **kwargs)

    return target
