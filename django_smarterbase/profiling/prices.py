"""What requests to an object store cost, for the ``cost_usd`` of a profile."""

from __future__ import annotations

from dataclasses import dataclass, fields

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from django_smarterbase.ops import StorageOps


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars for 1,000 requests of each kind.

    The defaults are the list prices of Amazon S3 Standard in us-east-1 (https://aws.amazon.com/s3/pricing/). Traffic
    and storage are not included. The setting ``SMARTERBASE_PRICES``, a dict with any of the field names, overrides.
    """

    read: float = 0.0004
    write: float = 0.005
    list: float = 0.005
    delete: float = 0.0

    def cost(self, ops: StorageOps) -> float:
        """The price of ``ops`` in US dollars. System requests count as writes: never less than the true price."""
        thousands = (
            ops.reads * self.read
            + (ops.writes + ops.system) * self.write
            + ops.lists * self.list
            + ops.deletes * self.delete
        )
        return thousands / 1000


_DEFAULTS = Prices()


def prices() -> Prices:
    """The prices in force, read from the settings at each call. Raises ImproperlyConfigured."""
    overrides = getattr(settings, "SMARTERBASE_PRICES", None)
    if overrides is None:
        return _DEFAULTS
    known = [field.name for field in fields(Prices)]
    for name, price in overrides.items():
        if name not in known:
            raise ImproperlyConfigured(
                f"SMARTERBASE_PRICES has no price for {name!r}; the kinds of request are: {', '.join(known)}."
            )
        if isinstance(price, bool) or not isinstance(price, (int, float)) or price < 0:
            raise ImproperlyConfigured(
                f"SMARTERBASE_PRICES[{name!r}] is {price!r}; it must be US dollars for 1,000 requests, 0 or more."
            )
    return Prices(**overrides)
