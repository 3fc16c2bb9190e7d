"""Metrics for Prometheus: add ``"django_smarterbase.contrib.prometheus"`` to ``INSTALLED_APPS``.

Without that nothing of it is imported. The metrics stand in the default registry of ``prometheus_client``, beside those
of other libraries; ``urls`` has a view that exposes them.
"""
