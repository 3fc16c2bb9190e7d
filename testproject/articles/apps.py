"""The articles app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ArticlesConfig(AppConfig):
    """Articles and their authors."""

    name = "testproject.articles"
    verbose_name = _("Articles")
