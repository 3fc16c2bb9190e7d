"""What is asked before a check, rebuild or packing begins, and its beginning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.db import router, transaction
from django.utils.translation import get_language, gettext_lazy, ngettext, override
from django.utils.translation import gettext as _

from ..indexes.service import IndexState
from ..management.tables import connection_of, tables_of
from ..profiling.prices import prices
from ..routers import smarterbase_aliases
from ..tables import TableSchema
from .jobs import Job, JobBoard, Kind, TableProgress
from .wording import KINDS, number
from .work import start


@dataclass(frozen=True, slots=True)
class Target:
    """What a job is about: the tables of a database, with the states of their indexes, all of them or a single one."""

    database: str
    tables: tuple[tuple[TableSchema, IndexState], ...]
    whole: bool

    @property
    def id(self) -> str:
        """What it is called in the log of the admin."""
        return self.database if self.whole else f"{self.database}/{self.tables[0][0].table}"

    @property
    def name(self) -> str:
        """What it is called on pages."""
        return self.database if self.whole else f"{self.tables[0][0].label} ({self.database})"

    @property
    def documents(self) -> int | None:
        """How many documents the indexes name, None when one of them does not tell."""
        counts = [state.documents for _, state in self.tables]
        return None if None in counts else sum(count for count in counts if count is not None)

    @property
    def cost_usd(self) -> float | None:
        """What it costs at most to read them all, in US dollars; listings come on top."""
        return None if self.documents is None else self.documents * prices().read / 1000


class TargetForm(forms.Form):
    """Names the tables of a job. Without a table, all of the database."""

    database = forms.CharField()
    table = forms.CharField(required=False)

    def clean_database(self) -> str:
        """A smarterbase database."""
        alias: str = self.cleaned_data["database"]
        if alias not in smarterbase_aliases():
            raise ValidationError(_("There is no smarterbase database %(alias)r.") % {"alias": alias})
        return alias

    def clean(self) -> dict[str, Any]:
        """The tables, which may have gone since the page was made."""
        alias, table = self.cleaned_data.get("database"), self.cleaned_data.get("table")
        if alias is not None:
            schemas = [each for each in tables_of(alias, None) if not table or each.table == table]
            if not schemas:
                raise ValidationError(_("The database %(alias)r has no table to do that with.") % {"alias": alias})
            self.cleaned_data["schemas"] = schemas
        return self.cleaned_data

    def target(self) -> Target:
        """What is named, as it is now: one GET and one round trip. Raises StorageUnavailable."""
        alias, schemas = self.cleaned_data["database"], self.cleaned_data["schemas"]
        states = connection_of(alias).resources.indexes.states(schemas)
        return Target(alias, tuple(zip(schemas, states, strict=True)), whole=not self.cleaned_data["table"])


class CheckForm(forms.Form):
    """How thorough a check is."""

    sample = forms.IntegerField(
        required=False,
        min_value=1,
        label=gettext_lazy("Documents to look at in each table"),
        help_text=gettext_lazy("So many are chosen at random. Leave it empty to compare every document."),
    )


class ReindexForm(forms.Form):
    """How thorough a rebuild is."""

    thorough = forms.BooleanField(
        required=False,
        label=gettext_lazy("Read every document"),
        help_text=gettext_lazy(
            "Otherwise those are not read again that have not changed since the last index knew them. Needed when a "
            "check has found that its records are wrong."
        ),
    )


class PackForm(forms.Form):
    """There is nothing to choose."""


FORMS: dict[Kind, type[forms.Form]] = {Kind.CHECK: CheckForm, Kind.REINDEX: ReindexForm, Kind.PACK: PackForm}


def begin(kind: Kind, target: Target, user: str, log: Callable[[str], LogEntry], **options: Any) -> bool:
    """Begin a job in the background, and have its entry in the log; False when another one is under way.

    ``log`` makes the entry of a message, which is rewritten when the job has ended. One GET and one PUT.
    """
    tables = tuple(
        TableProgress(schema.table, schema.label, expected=state.documents) for schema, state in target.tables
    )
    job, board = Job(kind, user, tables, **options), JobBoard(connection_of(target.database).resources)
    if not board.begin(job):
        return False
    entry, language = log(_("%(kind)s begun.") % {"kind": KINDS[kind]}), get_language()

    def note_end(ended: Job) -> None:
        with override(language):
            LogEntry.objects.filter(pk=entry.pk).update(change_message=_summary(ended))

    # The entry must be there before the job can end, also in a view whose request is one transaction.
    transaction.on_commit(
        lambda: start(target.database, job, board, note_end), using=router.db_for_write(LogEntry), robust=False
    )
    return True


def _summary(job: Job) -> str:
    bad = sum(not each.went_well for each in job.tables) + len(job.problems)
    facts = {"kind": KINDS[job.kind], "tables": number(len(job.tables)), "bad": number(bad)}
    if bad:
        return (
            ngettext(
                "%(kind)s of %(tables)s table: something is wrong with %(bad)s.",
                "%(kind)s of %(tables)s tables: something is wrong with %(bad)s.",
                len(job.tables),
            )
            % facts
        )
    return (
        ngettext(
            "%(kind)s of %(tables)s table: went well.", "%(kind)s of %(tables)s tables: went well.", len(job.tables)
        )
        % facts
    )
