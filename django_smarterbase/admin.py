"""The pages of the admin: the profiles of queries, and the health of the indexes.

They stand in the index of every AdminSite that is ``django.contrib.admin.site``; another one takes them by
``site.register(QueryProfiles, QueryProfilesAdmin)`` and ``site.register(IndexHealth, IndexHealthAdmin)``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from django_smarterbase.exceptions import SmarterBaseError
from django_smarterbase.management.tables import connection_of
from django_smarterbase.models import IndexHealth, QueryProfiles
from django_smarterbase.panel.asking import FORMS, Target, TargetForm, begin
from django_smarterbase.panel.health import anchor_of, health_of_all
from django_smarterbase.panel.jobs import JobBoard, Kind
from django_smarterbase.panel.pages import method_page, overview
from django_smarterbase.panel.wording import KINDS, dollars
from django_smarterbase.profiling.recorder import unrecorded
from django_smarterbase.routers import smarterbase_aliases

View = Callable[..., HttpResponse]


class PanelAdmin(admin.ModelAdmin):
    """What the pages have in common. ``templates`` lie in ``admin/django_smarterbase/``."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds anything."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes anything."""
        return False

    def name_of(self, page: str) -> str:
        """The name of the address of a page, without the namespace."""
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"

    def address(self, page: str, *args: str) -> str:
        """The address of a page in this site."""
        return reverse(f"admin:{self.name_of(page)}", args=args, current_app=self.admin_site.name)

    def guarded(self, view: View) -> View:
        """``view`` for staff, whose own statements are in no profile."""

        def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            with unrecorded():
                return self.admin_site.admin_view(view)(request, *args, **kwargs)

        wrapper.model_admin = self  # type: ignore[attr-defined]
        return update_wrapper(wrapper, view)

    def require_view(self, request: HttpRequest) -> None:
        """Raise PermissionDenied for those who may not see the page."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied

    def page(self, request: HttpRequest, template: str, title: str, **context: Any) -> TemplateResponse:
        """A page with what every page of the admin has."""
        request.current_app = self.admin_site.name
        whole = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "home": self.address("changelist"),
            "siblings": self._siblings(request),
            **context,
        }
        return TemplateResponse(request, f"admin/django_smarterbase/{template}", whole)

    def _siblings(self, request: HttpRequest) -> list[dict[str, Any]]:
        """The pages that the user may see, as tabs; none where there is a single one."""
        own: list[dict[str, Any]] = []
        for model in (QueryProfiles, IndexHealth):
            if self.admin_site.is_registered(model):
                other = self.admin_site.get_model_admin(model)
                if isinstance(other, PanelAdmin) and other.has_view_or_change_permission(request):
                    name = capfirst(str(model._meta.verbose_name_plural))
                    own.append({"name": name, "url": other.address("changelist"), "current": other is self})
        return own if len(own) > 1 else []


@admin.register(QueryProfiles)
class QueryProfilesAdmin(PanelAdmin):
    """The profiles of queries."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """There is nothing to change."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """The pages."""
        return [
            path("", self.guarded(self.changelist_view), name=self.name_of("changelist")),
            path("method/", self.guarded(self.method_view), name=self.name_of("method")),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Figures over all methods."""
        self.require_view(request)
        context = overview(request.GET) | (extra_context or {})
        return self.page(request, "query_profiles.html", _("Query profiles"), **context)

    def method_view(self, request: HttpRequest) -> HttpResponse:
        """The method that the query string names, with its latest profiles."""
        self.require_view(request)
        context = method_page(request.GET)
        if context is None:
            return HttpResponseRedirect(self.address("changelist"))
        return self.page(request, "method.html", context["name"], **context)


@admin.register(IndexHealth)
class IndexHealthAdmin(PanelAdmin):
    """The health of the indexes, and the jobs that look after them."""

    def get_urls(self) -> list[URLPattern]:
        """The pages. The addresses of single objects are where entries of the log lead."""
        pages: list[tuple[str, View, str]] = [
            ("", self.changelist_view, "changelist"),
            ("check/", self.check_view, "check"),
            ("reindex/", self.reindex_view, "reindex"),
            ("pack/", self.pack_view, "pack"),
            ("job/<str:alias>/", self.job_view, "job"),
            ("<path:object_id>/change/", self.change_view, "change"),
        ]
        return [path(route, self.guarded(view), name=self.name_of(name)) for route, view, name in pages]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The tables of all databases, with their indexes."""
        self.require_view(request)
        context = {"databases": health_of_all(), "may_act": self.has_change_permission(request)}
        return self.page(request, "index_health.html", _("Index health"), **context, **(extra_context or {}))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Where a table or database stands on the page."""
        self.require_view(request)
        return HttpResponseRedirect(f"{self.address('changelist')}#{anchor_of(unquote(object_id))}")

    def check_view(self, request: HttpRequest) -> HttpResponse:
        """Ask whether to check, then do it."""
        return self._ask(request, Kind.CHECK)

    def reindex_view(self, request: HttpRequest) -> HttpResponse:
        """Ask whether to reindex, then do it."""
        return self._ask(request, Kind.REINDEX)

    def pack_view(self, request: HttpRequest) -> HttpResponse:
        """Ask whether to pack, then do it."""
        return self._ask(request, Kind.PACK)

    def job_view(self, request: HttpRequest, alias: str) -> HttpResponse:
        """How far the last job of a database is, and what came of it; only that much with ``?part``."""
        if alias not in smarterbase_aliases():
            raise Http404
        self.require_view(request)
        job, problem = None, ""
        try:
            job = JobBoard(connection_of(alias).resources).current()
        except SmarterBaseError as error:
            problem = str(error)
        template = "job_part.html" if "part" in request.GET else "job.html"
        title = f"{KINDS[job.kind]}: {job.subject(alias)}" if job is not None else _("No job: %s") % alias
        context = {"alias": alias, "job": job, "problem": problem, "may_act": self.has_change_permission(request)}
        return self.page(request, template, title, **context)

    def _ask(self, request: HttpRequest, kind: Kind) -> HttpResponse:
        if request.method != "POST":  # after a log-in in between
            return HttpResponseRedirect(self.address("changelist"))
        if not self.has_change_permission(request):
            raise PermissionDenied
        try:
            chosen = TargetForm(request.POST)
            if chosen.is_valid():
                return self._confirm(request, kind, chosen.target())
            problems = [str(error) for errors in chosen.errors.values() for error in errors]
        except SmarterBaseError as error:
            problems = [str(error)]
        for problem in problems:
            self.message_user(request, problem, messages.ERROR)
        return HttpResponseRedirect(self.address("changelist"))

    def _confirm(self, request: HttpRequest, kind: Kind, target: Target) -> HttpResponse:
        confirmed = "confirmed" in request.POST
        form = FORMS[kind](request.POST if confirmed else None, label_suffix="")
        if confirmed and form.is_valid():
            return self._begin(request, kind, target, form.cleaned_data)
        resources = connection_of(target.database).resources
        context = {
            "kind": kind,
            "target": target,
            "form": form,
            "job": JobBoard(resources).current(),
            "write_deadline": resources.options.write_deadline,
            "cost": None if target.cost_usd is None else dollars(target.cost_usd),
        }
        return self.page(request, "confirm.html", f"{KINDS[kind]}: {target.name}", **context)

    def _begin(self, request: HttpRequest, kind: Kind, target: Target, options: dict[str, Any]) -> HttpResponse:
        log = partial(self.log_change, request, IndexHealth.standing_for(target.id, target.name))
        if not begin(kind, target, request.user.get_username(), log, **options):
            self.message_user(request, _("Another job is under way. Wait until it has ended."), messages.WARNING)
        return HttpResponseRedirect(self.address("job", target.database))
