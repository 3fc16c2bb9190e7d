"""A bounded cache for what each tenant costs in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

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
