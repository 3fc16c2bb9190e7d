"""The commit set-up: Django's TestCase, with the data of each class really committed.

Stock ``TestCase`` opens a transaction per class, fills it in ``setUpTestData`` and rolls it back at the end of the
class, so nothing is ever committed and an engine that buffers until COMMIT never meets its storage. Here the class's
transaction is committed once it is filled, each test still runs in a transaction that is rolled back, and the
databases are flushed after the class, as after a TransactionTestCase (post_migrate included, which brings content
types, permissions and the default site back).
"""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.db import connections
from django.test import TestCase

_stock_set_up_class = TestCase.setUpClass.__func__
_stock_rollback_atomics = TestCase._rollback_atomics.__func__


class _Committed(dict):
    """The class's atomic blocks, no longer open: there is nothing left in them to roll back."""


def install() -> None:
    """Patch ``django.test.TestCase`` in this process, for good."""
    TestCase.setUpClass = classmethod(_set_up_class)
    TestCase._rollback_atomics = classmethod(_rollback_atomics)


def _set_up_class(cls: type[TestCase]) -> None:
    # Registered first, so it runs last: settings that the class overrides are restored by then, and the data goes even
    # when a setUpClass further down fails and no tearDownClass is called.
    cls.addClassCleanup(_flush, cls)
    _stock_set_up_class(cls)
    atomics = getattr(cls, "cls_atomics", None)
    if atomics is not None:
        cls.cls_atomics = _commit(cls, atomics)


def _commit(cls: type[TestCase], atomics: dict[str, Any]) -> _Committed:
    for alias in reversed(cls._databases_names()):
        atomics[alias].__exit__(None, None, None)
    return _Committed(atomics)


def _rollback_atomics(cls: type[TestCase], atomics: dict[str, Any]) -> None:
    if not isinstance(atomics, _Committed):
        _stock_rollback_atomics(cls, atomics)


def _flush(cls: type[TestCase]) -> None:
    for alias in cls._databases_names(include_mirrors=False):
        call_command(
            "flush",
            verbosity=0,
            interactive=False,
            database=alias,
            reset_sequences=False,
            allow_cascade=False,
            inhibit_post_migrate=False,
        )
        connections[alias].close()
