"""The pages, and the toolbar's own addresses, which can be imported only where it is installed."""

from django.urls import include, path

from tests.integration.toolbar import views

urlpatterns = [
    path("__debug__/", include("debug_toolbar.urls")),
    path("quiet/", views.quiet),
    path("authors/", views.authors),
    path("unnamed/", views.unnamed),
    path("broken/", views.broken),
    path("saving/", views.saving),
    path("meet/<name>/", views.meet),
    path("meet-async/<name>/", views.meet_async),
    path("leave/", views.leave),
]
