"""The panel: records the profiles of a request while it runs, and shows them from what the toolbar has stored."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import debug_toolbar
from debug_toolbar.panels import Panel
from django.core.checks import CheckMessage
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import floatformat
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from django_smarterbase.checks.toolbar import check_toolbar
from django_smarterbase.contrib.debug_toolbar.report import Report, report_on
from django_smarterbase.profiling import QueryProfile, recorder

#: The toolbar's module that may keep the panels' data in a database, by statements that no view made.
_STORE = "debug_toolbar.store"


class SmarterBasePanel(Panel):
    """The statements that a request ran on smarterbase databases: how their rows were found, and what that took.

    Between ``enable_instrumentation`` and ``disable_instrumentation`` a recorder's block is open in the context of the
    request. It sees the statements of its view, of tasks and ``sync_to_async`` calls started in it, and none of other
    requests. A response that is streamed runs its statements later, and they are not seen.

    ``{"queries": [QueryProfile.as_dict(), ...]}`` is all that is stored, in the order in which the statements ended.
    The panel is rendered from that alone: perhaps in another process, and of a request that is long gone.
    """

    is_async = True
    title = _("SmarterBase queries")
    nav_title = _("SmarterBase")
    nav_icon = "django_smarterbase/debug_toolbar/icon.svg"
    template = "django_smarterbase/debug_toolbar/panel.html"

    def __init__(self, toolbar: Any, get_response: Any) -> None:
        super().__init__(toolbar, get_response)
        self._profiles: list[QueryProfile] = []
        self._recording = False

    @classmethod
    def run_checks(cls) -> list[CheckMessage]:
        """What keeps the panel from working; the toolbar hands it to Django's checks."""
        return check_toolbar(debug_toolbar.VERSION)

    @property
    def nav_subtitle(self) -> str:
        """The totals, such as "5 queries, 12 storage ops, 3.1 ms, 1 fallback"."""
        figures = self._report().figures
        parts = [
            ngettext("%(count)d query", "%(count)d queries", figures.queries) % {"count": figures.queries},
            ngettext("%(count)d storage op", "%(count)d storage ops", figures.storage_ops)
            % {"count": figures.storage_ops},
            _("%(duration)s ms") % {"duration": floatformat(figures.duration, 1)},
        ]
        if figures.fallbacks:
            parts.append(
                ngettext("%(count)d fallback", "%(count)d fallbacks", figures.fallbacks) % {"count": figures.fallbacks}
            )
        return ", ".join(str(part) for part in parts)

    @property
    def content(self) -> str:
        """The panel's HTML, of the stored profiles."""
        return render_to_string(self.template, {"report": self._report()})

    def enable_instrumentation(self) -> None:
        """Open the block; twice is once."""
        if not self._recording:
            self._recording = True
            recorder.open_block(self._note)

    def disable_instrumentation(self) -> None:
        """Close the block; one that is not open is no error."""
        recorder.close_block(self._note)
        self._recording = False

    def generate_stats(self, request: HttpRequest, response: HttpResponse) -> None:
        """Store the profiles."""
        self.record_stats({"queries": [profile.as_dict() for profile in self._profiles]})

    def generate_server_timing(self, request: HttpRequest, response: HttpResponse) -> None:
        """Add the time spent in statements to the header Server-Timing; its text is for tools, and in English."""
        figures = self._report().figures
        text = f"SmarterBase: {figures.queries} queries, {figures.storage_ops} storage ops"
        self.record_server_timing("time", text, round(figures.duration, 3))

    def _note(self, profile: QueryProfile) -> None:
        # A task that the view started may outlive the request; its context still names this block.
        if self._recording and not (self._skips_toolbar and _stored_by_toolbar()):
            self._profiles.append(profile)

    @property
    def _skips_toolbar(self) -> bool:
        return bool(self.toolbar.config.get("SKIP_TOOLBAR_QUERIES", True))

    def _report(self) -> Report:
        return report_on([QueryProfile.from_dict(facts) for facts in self.get_stats().get("queries", ())])


def _stored_by_toolbar() -> bool:
    """Whether the statement that has just ended is one by which the toolbar keeps its own data.

    A COMMIT names no model, so the stack is asked and not the profile.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") == _STORE:
            return True
        frame = frame.f_back
    return False
