"""The example site with an admin that sends a strict Content Security Policy."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from testproject.settings import *  # noqa: F403
from testproject.settings import MIDDLEWARE as SITE_MIDDLEWARE

POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"


def strict_policy(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: nothing inline and nothing from elsewhere on the pages of the admin."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.path.startswith("/admin/"):
            response.headers["Content-Security-Policy"] = POLICY
        return response

    return middleware


MIDDLEWARE = ["tests.browser.settings.strict_policy", *SITE_MIDDLEWARE]
