"""Colours of a command's own messages. Django heeds ``--no-color``, and we the environment too (https://no-color.org)."""

from __future__ import annotations

import os

from django.core.management.base import BaseCommand
from django.core.management.color import no_style


def heed_no_color(command: BaseCommand) -> None:
    """Let the command write without colours when NO_COLOR is set and not empty."""
    if os.environ.get("NO_COLOR"):
        command.style = no_style()
        command.stderr.style_func = None
