"""The one door to ``prometheus_client``, which is an extra."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

try:
    from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.multiprocess import MultiProcessCollector
except ModuleNotFoundError as error:
    raise ImproperlyConfigured(
        "django_smarterbase.contrib.prometheus needs prometheus-client, which is not installed. Install it by "
        "pip install 'django-smarterbase[prometheus]', or remove the application from INSTALLED_APPS."
    ) from error

__all__ = [
    "REGISTRY",
    "CollectorRegistry",
    "Counter",
    "Gauge",
    "Histogram",
    "MultiProcessCollector",
    "choose_encoder",
]
