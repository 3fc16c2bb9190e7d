"""The application: who adds it to ``INSTALLED_APPS`` wants the metrics collected."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PrometheusConfig(AppConfig):
    """Collects metrics from the moment the applications are ready. Raises ImproperlyConfigured without the client."""

    name = "django_smarterbase.contrib.prometheus"
    label = "smarterbase_prometheus"
    verbose_name = _("SmarterBase metrics")

    def ready(self) -> None:
        """Begin to collect; only now is ``prometheus_client`` imported."""
        from django_smarterbase.contrib.prometheus import collecting

        collecting.connect()
