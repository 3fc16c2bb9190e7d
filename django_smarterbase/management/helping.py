"""What the commands share: ``--help`` as it was written, and the arguments that say which tables are meant."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandParser, DjangoHelpFormatter

from .tenant import add_tenant_argument


class TeachingFormatter(DjangoHelpFormatter, RawDescriptionHelpFormatter):
    """Leaves the line breaks of description and epilog alone. They should be for a terminal of 80 columns."""


class TeachingCommand(BaseCommand):
    """A command whose ``help`` says when to run it; ``epilog`` are examples and what the exit status means."""

    epilog: str
    formatter: type[RawDescriptionHelpFormatter] = TeachingFormatter
    requires_system_checks = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """A parser that leaves the line breaks of the description and of the examples alone."""
        parser = super().create_parser(prog_name, subcommand, epilog=self.epilog, **kwargs)
        parser.formatter_class = self.formatter
        return parser


def add_table_arguments(parser: CommandParser) -> None:
    """Have a command take the tables that it is about: their apps and models, databases and tenant."""
    parser.add_argument(
        "labels",
        nargs="*",
        metavar="app_label[.Model]",
        help="only the tables of these apps and models (default: all)",
    )
    parser.add_argument(
        "--database", action="append", default=[], metavar="ALIAS", help="only this database; may be repeated"
    )
    add_tenant_argument(parser)
