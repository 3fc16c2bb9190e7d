"""The admin, and a second one with the same pages."""

from django.contrib import admin
from django.urls import path

from django_smarterbase.admin import IndexHealthAdmin, QueryProfilesAdmin
from django_smarterbase.models import IndexHealth, QueryProfiles

backstage = admin.AdminSite(name="backstage")
backstage.register(QueryProfiles, QueryProfilesAdmin)
backstage.register(IndexHealth, IndexHealthAdmin)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("backstage/", backstage.urls),
]
