"""``path("", include("django_smarterbase.contrib.prometheus.urls"))`` exposes the metrics under ``metrics``."""

from __future__ import annotations

from django.urls import path

from .views import metrics

app_name = "smarterbase_prometheus"
urlpatterns = [path("metrics", metrics, name="metrics")]
