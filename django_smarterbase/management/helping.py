"""How ``--help`` is laid out: text as it was written, and a command's own options before those that all have."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter

from django.core.management.base import DjangoHelpFormatter


class TeachingFormatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Leaves the line breaks of description and epilog alone. They should be for a terminal of 80 columns."""
