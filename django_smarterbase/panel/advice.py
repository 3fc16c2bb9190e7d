"""What would make the statements of a page faster: the planner's advice, with how often it would have helped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.apps import apps
from django.utils.translation import ngettext

from ..history.ring import Kept
from ..management.tables import connection_of
from ..planner.advice import advice_for_profile
from ..profiling.profile import QueryProfile
from ..tables import TableSchema
from .profiles import Found
from .wording import number, reason


@dataclass(frozen=True, slots=True)
class Advice:
    """``count`` statements have done what ``finding`` says; ``remedies`` are sentences, each of which might do.

    ``saved_reads`` is how many documents fewer each of them would have read, as far as can be estimated.
    """

    finding: str
    count: int
    remedies: tuple[str, ...]
    saved_reads: int

    @property
    def saving(self) -> str:
        """``saved_reads`` in words, "" for none."""
        if self.saved_reads < 1:
            return ""
        return ngettext(
            "Estimated %(number)s fewer read a query.", "Estimated %(number)s fewer reads a query.", self.saved_reads
        ) % {"number": number(self.saved_reads)}


class _Kind(NamedTuple):
    """What statements must have in common to get one advice."""

    database: str
    model: str | None
    filter_fields: tuple[str, ...]
    complexity: str
    index_used: str
    fallback_reason: str | None


def advice_for(found: Found) -> list[Advice]:
    """The advice, that for most statements first."""
    kinds: dict[_Kind, list[Kept]] = {}
    for each in found.kept:
        kinds.setdefault(_kind(each.profile), []).append(each)
    given = [advice for kind, members in kinds.items() if (advice := _advise(kind, members)) is not None]
    return sorted(given, key=lambda advice: advice.count, reverse=True)


def _kind(profile: QueryProfile) -> _Kind:
    fields = tuple(dict.fromkeys(profile.filter_fields))
    known = (profile.complexity, profile.index_used, profile.fallback_reason)
    return _Kind(profile.database, profile.model, fields, *known)


def _advise(kind: _Kind, members: Sequence[Kept]) -> Advice | None:
    remedies = advice_for_profile(
        model=kind.model,
        filter_fields=kind.filter_fields,
        complexity=kind.complexity,
        index_used=kind.index_used,
        fallback_reason=kind.fallback_reason,
        schema=_schema(kind),
    )
    if not remedies:
        return None
    statements = sum(each.weight for each in members)
    saved = sum(_needless_reads(each.profile) * each.weight for each in members)
    return Advice(_finding(kind, round(statements)), round(statements), tuple(remedies), round(saved / statements))


def _needless_reads(profile: QueryProfile) -> int:
    """How many of the documents read were not in the result; 0 when nobody knows how large that was."""
    wanted = profile.storage_ops.reads if profile.result_count is None else profile.result_count
    return max(0, profile.storage_ops.reads - wanted)


def _schema(kind: _Kind) -> TableSchema | None:
    """The table as it is now; None when the model is gone."""
    if kind.model is None:
        return None
    try:
        return connection_of(kind.database).schema_of_model(apps.get_model(kind.model))
    except (LookupError, ValueError):
        return None


def _finding(kind: _Kind, count: int) -> str:
    values = {"number": number(count), "fields": ", ".join(kind.filter_fields), "reason": reason(kind.fallback_reason)}
    if kind.fallback_reason is not None:
        text = ngettext("%(number)s fallback: %(reason)s", "%(number)s fallbacks: %(reason)s", count)
    elif kind.filter_fields:
        text = ngettext("%(number)s full scan on %(fields)s", "%(number)s full scans on %(fields)s", count)
    else:
        text = ngettext("%(number)s full scan without a condition", "%(number)s full scans without a condition", count)
    return text % values
