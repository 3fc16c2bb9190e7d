"""A view for Prometheus. It has no address until a project includes ``urls``, and is closed to the public then."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .exposition import exposition


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """All metrics, for who sends ``SMARTERBASE_METRICS_TOKEN`` as bearer token, and for active staff users."""
    if not (_has_token(request) or _is_staff(request)):
        refusal = _(
            "Metrics are shown to staff, and to who sends the value of the setting SMARTERBASE_METRICS_TOKEN as bearer "
            "token."
        )
        return HttpResponseForbidden(refusal, content_type="text/plain; charset=utf-8")
    body, content_type = exposition(request.headers.get("Accept", ""))
    return HttpResponse(body, content_type=content_type)


def _has_token(request: HttpRequest) -> bool:
    token = getattr(settings, "SMARTERBASE_METRICS_TOKEN", None)
    scheme, _space, given = request.headers.get("Authorization", "").partition(" ")
    return bool(token) and scheme.lower() == "bearer" and constant_time_compare(given.strip(), str(token))


def _is_staff(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return user is not None and user.is_active and user.is_staff
