"""The door by which profiles come in: who listens, who is told, and who made the query.

The backend asks ``wanted()`` at the end of a statement and makes a profile only then, so a statement nobody watches
costs three look-ups.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from types import CodeType, FrameType
from typing import Literal

from django_smarterbase.profiling.fields import flat_fields
from django_smarterbase.profiling.profile import QueryProfile
from django_smarterbase.profiling.summary import SLOW_MS
from django_smarterbase.signals import profiles_dropped, send

Listener = Callable[[QueryProfile], object]

logger = logging.getLogger("django_smarterbase.query")

_sinks: tuple[Listener, ...] = ()
_sinks_lock = threading.Lock()
_blocks: ContextVar[tuple[Listener, ...]] = ContextVar("smarterbase_profiling_blocks", default=())
_unrecorded: ContextVar[bool] = ContextVar("smarterbase_profiling_unrecorded", default=False)

#: Code that runs a query on behalf of others: Django, this package, what watches them, servers and the glue between.
_GO_BETWEENS = frozenset(
    {"django", "django_smarterbase", "asgiref", "debug_toolbar"}
    | {"asyncio", "concurrent", "contextlib", "contextvars", "functools", "runpy", "threading"}
    | {"http", "socketserver", "wsgiref", "gunicorn", "uvicorn", "daphne", "hypercorn", "waitress"}
)
#: The modules of such code that have been met.
_passed_by: set[str] = set()


def listening() -> bool:
    """Whether anybody may want a profile: an open block, a sink, or the logger at INFO (of slow ones) or DEBUG."""
    return bool(_blocks.get()) or _sinks_listen() or logger.isEnabledFor(logging.INFO)


def _sinks_listen() -> bool:
    return bool(_sinks) and not _unrecorded.get()


def wanted(duration: float, slow_ms: float = SLOW_MS) -> bool:
    """Whether anybody wants the profile of a statement that took so long (ms); it is slow from ``slow_ms`` on."""
    if _blocks.get() or _sinks_listen():
        return True
    return logger.isEnabledFor(logging.INFO) and (logger.isEnabledFor(logging.DEBUG) or duration >= slow_ms)


def record(profile: QueryProfile, slow_ms: float = SLOW_MS) -> None:
    """Hand ``profile`` to the open blocks of this context, to the sinks and to the logger, which takes it at INFO from
    ``slow_ms`` on. Never raises."""
    for block in _blocks.get():
        block(profile)
    for sink in () if _unrecorded.get() else _sinks:
        _tell(sink, profile)
    if logger.isEnabledFor(logging.INFO):
        _log(profile, slow=profile.duration >= slow_ms)


def record_made(make: Callable[[], QueryProfile], slow_ms: float = SLOW_MS) -> None:
    """Make a profile and ``record`` it. What fails in the making is logged: the statement itself is done."""
    try:
        profile = make()
    except Exception:
        logger.exception(
            "A profile could not be made; the statement itself is not affected.", extra={"event": "profile_failed"}
        )
    else:
        record(profile, slow_ms)


def add_sink(sink: Listener) -> None:
    """Call ``sink`` with every profile of this process, in the thread of its statement. Adding it twice is once."""
    global _sinks
    with _sinks_lock:
        if sink not in _sinks:
            _sinks = (*_sinks, sink)


def remove_sink(sink: Listener) -> None:
    """Call ``sink`` no more; one that was never added is no error."""
    global _sinks
    with _sinks_lock:
        _sinks = tuple(other for other in _sinks if other != sink)


@contextmanager
def unrecorded() -> Iterator[None]:
    """Tell no sink of the statements in the block: a page about profiles is not what its readers want to see there.

    Open blocks (and so the debug toolbar) and the logger are told all the same.
    """
    token = _unrecorded.set(True)
    try:
        yield
    finally:
        _unrecorded.reset(token)


def open_block(listener: Listener) -> None:
    """Call ``listener`` with every profile of this context (and of contexts copied from it) from now on."""
    _blocks.set((*_blocks.get(), listener))


def close_block(listener: Listener) -> None:
    """Undo ``open_block`` in this context."""
    _blocks.set(tuple(other for other in _blocks.get() if other != listener))


def caller_method() -> str:
    """The qualified name of the function that made the query; costs a walk up the stack.

    It is the innermost function outside Django, this package, servers and standard library glue; for code at the top
    of a module, the module's name. Beyond Django's request handler nobody is looked for, since middleware around a
    view did not make its queries, nor beyond a management command. A query that Django's own applications make on
    nobody's behalf is named after their function (``ChangeList.get_results``); failing that, after the command
    (``loaddata``); failing that, "unknown".
    """
    frame: FrameType | None = sys._getframe(1)
    application = "unknown"
    while frame is not None:
        module: str = frame.f_globals.get("__name__", "")
        if module not in _passed_by:  # as most are, so this is the whole cost of most frames
            role = _role(module)
            if role == "caller" and (name := _function(frame.f_code, module)):
                return name
            if role == "handler":
                break
            if role == "command" and (name := _command(frame)):
                return application if application != "unknown" else name
            if role == "application" and application == "unknown":
                application = _function(frame.f_code, module) or application
        frame = frame.f_back
    return application


@lru_cache(maxsize=4096)
def _role(module: str) -> Literal["caller", "application", "handler", "command", "go-between"]:
    """What the code of a module has to do with a query; an application is one of Django's own."""
    if module.partition(".")[0] not in _GO_BETWEENS:
        return "caller"
    if module.startswith("django.contrib."):
        return "application"
    if module.startswith("django.core.handlers."):
        return "handler"
    if module == "django.core.management.base":
        return "command"
    _passed_by.add(module)
    return "go-between"


def _function(code: CodeType, module: str) -> str:
    """The function that ``code`` stands in, or "" for a lambda or comprehension outside of any."""
    if code.co_name == "<module>":
        return module
    name = code.co_qualname.partition(".<locals>.<")[0]
    return "" if name.startswith("<") else name


def _command(frame: FrameType) -> str:
    """The name of the management command whose method ``frame`` is of, or "" for a decorator of one."""
    command = frame.f_locals.get("self")
    return "" if command is None else type(command).__module__.rpartition(".")[2]


def _forked() -> None:
    """A thread of the parent may hold the lock; the sinks are those of the child too."""
    global _sinks_lock
    _sinks_lock = threading.Lock()


os.register_at_fork(after_in_child=_forked)


def _tell(sink: Listener, profile: QueryProfile) -> None:
    try:
        sink(profile)
    except Exception as error:
        # The statement is done; a faulty sink must not make it look as if it had failed.
        logger.exception(
            "The profile sink %r failed; the statement itself is not affected.",
            sink,
            extra={"event": "sink_failed", "sink": repr(sink), "error": type(error).__name__},
        )
        send(profiles_dropped, QueryProfile, number=1, error=error)


def _log(profile: QueryProfile, *, slow: bool) -> None:
    logger.log(
        logging.INFO if slow else logging.DEBUG,
        "(%.1f ms) %s: %s %s on %r, %s by %s%s, storage ops: %d, Redis round trips: %d, results: %s%s",
        profile.duration,
        profile.method,
        profile.operation,
        profile.model or "SQL",
        profile.database,
        profile.complexity,
        profile.index_used,
        f" (fallback: {profile.fallback_reason})" if profile.fallback else "",
        profile.storage_ops.total,
        profile.redis_ops.round_trips,
        "unknown" if profile.result_count is None else profile.result_count,
        f", failed with {profile.error}" if profile.error else "",
        extra={"event": "slow_query" if slow else "query", **flat_fields(profile)},
    )
