"""The panel for django-debug-toolbar. Name ``SmarterBasePanel`` of this module in ``DEBUG_TOOLBAR_PANELS``."""

from django_smarterbase.contrib.debug_toolbar.panel import SmarterBasePanel

__all__ = ["SmarterBasePanel"]
