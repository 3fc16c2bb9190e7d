"""A bounded cache for what each tenant costs in memory."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final, Generic, TypeVar
from weakref import WeakSet

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The ``size`` values that were asked for last. Thread-safe.

    A value that has to go lives on with those who still use it; who asks next gets another one. The first to go is the
    one that was asked for least recently among those that ``may_go``, or else among all.
    """

    def __init__(self, size: int, may_go: Callable[[V], bool] = lambda _value: True) -> None:
        self.size = size
        self._may_go = may_go
        self._lock = threading.Lock()
        self._values: OrderedDict[K, V] = OrderedDict()
        _all.add(self)

    def renew_lock(self) -> None:
        """In a forked child: a thread of the parent may have held the lock, which nobody would release."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value of ``key``, which ``make`` makes when there is none; it is called under the lock."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            else:
                if len(self._values) >= self.size:
                    self._make_room()
                self._values[key] = make()
            return self._values[key]

    def find(self, key: K) -> V | None:
        """The value of ``key``; None when there is none."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def keep(self, key: K, value: V) -> None:
        """Keep a value that was made outside of the lock, as one must be whose making may come back here."""
        with self._lock:
            if key not in self._values and len(self._values) >= self.size:
                self._make_room()
            self._values[key] = value
            self._values.move_to_end(key)

    def _make_room(self) -> None:
        oldest = next(iter(self._values))
        del self._values[next((key for key, value in self._values.items() if self._may_go(value)), oldest)]

    def values(self) -> list[V]:
        """All values, the one that was asked for last at the end."""
        with self._lock:
            return list(self._values.values())

    def discard(self, unwanted: Callable[[K], bool]) -> None:
        """Forget the values of these keys."""
        with self._lock:
            for key in [key for key in self._values if unwanted(key)]:
                del self._values[key]


_all: Final[WeakSet[Recent[Any, Any]]] = WeakSet()


def _forked() -> None:
    for recent in list(_all):
        recent.renew_lock()


os.register_at_fork(after_in_child=_forked)
