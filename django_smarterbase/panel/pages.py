"""What the pages of the profiles show: the figures of all methods, and a method with its latest profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core.paginator import Paginator
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from ..history.ring import Kept
from ..profiling.profile import QueryProfile
from ..routers import smarterbase_aliases
from .advice import advice_for
from .chart import chart_of
from .filters import FilterForm
from .profiles import Found, PlanRow, find, known_sort, method_rows, plans_of
from .wording import Text

METHODS: Final = 100  # on a page
PROFILES: Final = 25  # on a page
#: The columns of the table of methods by the name of their sort, with how the first click on them sorts.
_HEADINGS: Final[Mapping[str, tuple[Text, str]]] = {
    "method": (_("Method"), ""),
    "count": (_("Count"), "-"),
    "average": (_("Average"), "-"),
    "p95": (_("p95"), "-"),
    "total": (_("Total"), "-"),
    "complexity": (_("Complexity"), "-"),
    "index": (_("Index used"), ""),
    "ops": (_("Storage ops"), "-"),
    "cost": (_("Cost"), "-"),
}
_NUMERIC: Final = frozenset(("count", "average", "p95", "total", "ops", "cost"))


@dataclass(frozen=True, slots=True)
class Heading:
    """The head of a column: where a click on it leads, and how it is sorted now (as ``aria-sort`` has it, "" not)."""

    text: Text
    query: str
    direction: str
    is_numeric: bool


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """A profile as a page shows it. ``values`` are empty unless its database may show them."""

    profile: QueryProfile
    weight: float
    plan: int
    is_slow: bool
    values: tuple[str, ...]


def overview(query: QueryDict) -> dict[str, Any]:
    """The context of the page of all methods."""
    form = FilterForm(query, smarterbase_aliases())
    wanted = form.filter()
    found = find(wanted)
    form.offer_models(found.models | ({wanted.model} if wanted.model else set()))
    summary, sort = found.summary(), known_sort(query.get("o", ""))
    page = Paginator(method_rows(found, summary, sort), METHODS).get_page(query.get("p"))
    return {
        **_common(form, found, query),
        "summary": summary,
        "chart": chart_of(found, wanted),
        "headings": headings(query, sort),
        "page": page,
        "method_query": without(query, "p", "o", "method", "model"),
    }


def method_page(query: QueryDict) -> dict[str, Any] | None:
    """The context of the page of the method that ``query`` names; None when it names none."""
    name = query.get("name", "")
    if not name:
        return None
    form = FilterForm(query, smarterbase_aliases())
    for field in ("method", "model"):
        del form.fields[field]
    wanted = form.filter()
    found = find(wanted).of_method(name)
    plans = plans_of(found)
    page = Paginator(_rows(found, plans), PROFILES).get_page(query.get("p"))
    return {
        **_common(form, found, query),
        "name": name,
        "summary": found.summary(),
        "chart": chart_of(found, wanted),
        "advice": advice_for(found),
        "plans": plans,
        "page": page,
        "overview_query": without(query, "p", "name"),
    }


def headings(query: QueryDict, sort: str) -> list[Heading]:
    """The heads of the table of methods. A click on the sorted one turns its order round."""
    found = []
    for name, (text, first) in _HEADINGS.items():
        by_this = sort.removeprefix("-") == name
        falling = sort.startswith("-")
        order = ("" if falling else "-") if by_this else first
        direction = ("descending" if falling else "ascending") if by_this else ""
        found.append(Heading(text, changed(query, o=f"{order}{name}", p=None), direction, name in _NUMERIC))
    return found


def changed(query: QueryDict, **changes: str | None) -> str:
    """A query string with some names set, or taken out (None)."""
    copy = query.copy()
    for name, value in changes.items():
        copy.pop(name, None)
        if value is not None:
            copy[name] = value
    return copy.urlencode()


def without(query: QueryDict, *names: str) -> str:
    """A query string without some names."""
    return changed(query, **dict.fromkeys(names))


def _common(form: FilterForm, found: Found, query: QueryDict) -> dict[str, Any]:
    names = [name for name in form.fields if name != "period" and query.get(name)]
    return {
        "form": form,
        "found": found,
        "is_filtered": bool(names),
        "order": query.get("o", ""),
        "page_query": without(query, "p"),
        "slow_ms": sorted(set(found.slow_ms.values())),
    }


def _rows(found: Found, plans: Sequence[PlanRow]) -> list[ProfileRow]:
    numbers = {plan.lines: plan.number for plan in plans}
    return [_row(each, found, numbers) for each in found.kept]


def _row(kept: Kept, found: Found, plans: Mapping[tuple[str, ...], int]) -> ProfileRow:
    profile = kept.profile
    values = profile.filter_values if found.show_values[profile.database] else None
    return ProfileRow(profile, kept.weight, plans[profile.plan], found.is_slow(profile), values or ())
