"""The application: commands, checks and translations need it in ``INSTALLED_APPS``."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SmarterBaseConfig(AppConfig):
    """Registers the system checks."""

    name = "django_smarterbase"
    verbose_name = _("SmarterBase")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the checks; they look at the settings when they run, not now."""
        from django_smarterbase import checks

        checks.register_all()
