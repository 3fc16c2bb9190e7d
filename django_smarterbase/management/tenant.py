"""The argument ``--tenant`` of the commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from django.core.management.base import CommandError, CommandParser

from ..exceptions import InvalidTenant
from ..tenants import tenant, tenants
from .tables import did_you_mean


def add_tenant_argument(parser: CommandParser) -> None:
    """Have a command take ``--tenant``."""
    parser.add_argument(
        "--tenant", metavar="NAME", help="of this tenant of the databases (default: what belongs to no tenant)"
    )


@contextmanager
def within_tenant(name: str | None, aliases: Sequence[str]) -> Iterator[None]:
    """Work for the tenant ``name`` of these databases, or, without a name, for the tenant of now.

    Raises CommandError when none of them has objects of such a tenant.
    """
    with ExitStack() as blocks:
        if name is not None:
            _demand(name, aliases)
            for alias in aliases:
                blocks.enter_context(tenant(name, using=alias))
        yield


def _demand(name: str, aliases: Sequence[str]) -> None:
    try:
        tenant(name)
    except InvalidTenant as error:
        raise CommandError(str(error)) from error
    known = sorted({each for alias in aliases for each in tenants(alias)})
    if name not in known:
        raise CommandError(
            f"No tenant is called {name!r}: nothing is stored for it in {', '.join(aliases)}."
            f"{did_you_mean(name, known)} manage.py sb_tenant --list shows all of them."
        )
