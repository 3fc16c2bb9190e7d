"""A write that failed because others were faster, as the error that Django users know."""

from __future__ import annotations

from collections.abc import Collection

from django.db.utils import IntegrityError

from django_smarterbase.backend.claims import ClaimTaken, claim_rule
from django_smarterbase.backend.document_writes import WriteFailed
from django_smarterbase.exceptions import ConflictError


def commit_error(failure: WriteFailed) -> Exception:
    """The conflict as Django users know it."""
    write = failure.write
    label = write.schema.label if write.schema is not None else "a system object"
    if isinstance(failure.error, ClaimTaken) and write.schema is not None:
        rule = next((rule for rule in write.schema.unique if rule.name == claim_rule(failure.error.claim)), None)
        columns = ", ".join(f"{write.schema.table}.{column}" for column in (rule.columns if rule else ()))
        return IntegrityError(
            f"UNIQUE constraint failed: {columns or failure.error.rule} ({label} {failure.error.holder!r} has the "
            "value)"
        )
    if write.base_etag is None and write.schema is not None:
        columns = ", ".join(f"{write.schema.table}.{column}" for column in write.schema.pk)
        return IntegrityError(
            f"UNIQUE constraint failed: {columns} (another transaction has committed {write.key!r} meanwhile)"
        )
    return ConflictError(
        f"{label}: another writer changed {write.key!r} after this transaction had read it. "
        f"{applied(failure.standing)} of the transaction; {advice(failure.standing)}run it again."
    )


def outrun(model: str | None, attempts: int, standing: Collection[str]) -> ConflictError:
    """The error of a statement in autocommit that met faster writers each time it was run."""
    return ConflictError(
        f"{model or 'A statement'}: other writers changed the same documents {attempts} times in a row. "
        f"{applied(standing)}; {advice(standing)}run the statement again."
    )


def applied(standing: Collection[str]) -> str:
    """What was applied of a unit that failed: what others have built on cannot be taken back."""
    return f"Only the changes of {', '.join(sorted(standing))} were applied" if standing else "Nothing was applied"


def advice(standing: Collection[str]) -> str:
    """What to do before the unit is run again, as the beginning of a sentence's end."""
    return "read what stands before you " if standing else ""
