"""A unique value that one statement moves from one document to another."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Case, Value, When

from django_smarterbase.backend.leftovers import OrphanClaims


def pass_name_on() -> None:
    """Ann becomes Eve and Bob becomes Ann, in one statement outside of a transaction."""
    User.objects.update(username=Case(When(username="ann", then=Value("eve")), default=Value("ann")))


def names() -> list[str]:
    return sorted(User.objects.values_list("username", flat=True))


def orphans() -> int:
    """How many claims to names ``sb_check`` would remove."""
    claims = OrphanClaims(connection.resources, connection.table_schema("auth_user"))
    claims.suspect(lambda _number: None)
    return len(claims.confirmed())
