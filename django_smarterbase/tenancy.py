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
    """An open block; ``tenants`` are ``{database alias: tenant or None}`` within it, by the outer blocks too."""

    opener: object
    alias: str
    tenants: Mapping[str, str | None]
    outer: _Block | None


def _within(outer: _Block | None, opener: object, alias: str, tenant: str | None) -> _Block:
    others = outer.tenants if outer is not None else {}
    return _Block(opener, alias, {**others, alias: tenant}, outer)


def _without(block: _Block | None, opener: object) -> _Block | None:
    """The chain without the innermost block of ``opener``."""
    if block is None or block.opener is opener:
        return block.outer if block is not None else None
    return _within(_without(block.outer, opener), block.opener, block.alias, block.tenants[block.alias])


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
    _innermost.set(_within(_innermost.get(), opener, alias, tenant))


def close_block(opener: object) -> bool:
    """End the block of ``opener``. False when others were opened within it and are still open, which go on."""
    block = _innermost.get()
    _innermost.set(_without(block, opener))
    return block is not None and block.opener is opener


def following(function: Callable[P, object]) -> Callable[P, object]:
    """``function`` as the target of a thread, which begins with an empty context: it works for the tenants for which
    its starter does now."""
    block = _innermost.get()

    def target(*args: P.args, **kwargs: P.kwargs) -> object:
        _innermost.set(block)
        return function(*args, **kwargs)

    return target
