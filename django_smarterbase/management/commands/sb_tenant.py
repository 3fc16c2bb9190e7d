"""``manage.py sb_tenant``: run another command for a tenant, or for all of them."""

from __future__ import annotations

from argparse import REMAINDER
from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError

from ...exceptions import InvalidTenant
from ...tenants import tenant, tenants
from ..helping import TeachingCommand
from ..plurals import part_of
from ..tables import chosen_databases

DESCRIPTION = """\
Run another command for a tenant of a smarterbase database, as within
tenant(NAME): what the command reads and writes there is the tenant's.

A tenant begins with the first object that is written for it; migrate writes
the steps of its tables, its content types and its permissions. It is removed
by delete_tenant() of django_smarterbase.tenants.

sb_reindex, sb_check, sb_upcast and sb_profile take --tenant themselves."""

EPILOG = """\
examples:
  manage.py sb_tenant --list                     the tenants that have objects
  manage.py sb_tenant acme migrate               make or migrate a tenant
  manage.py sb_tenant --all migrate              migrate all of them, one after
                                                 the other
  manage.py sb_tenant acme createsuperuser
  manage.py sb_tenant acme dumpdata articles     copy data out, and in again
  manage.py sb_tenant --using objects acme migrate --database objects
                                                 where the database is another
                                                 one than the router's

Options of this command stand before the name of the other one, whose own
arguments follow that name. With --all, the tenants after one that fails are
done all the same.

exit status: 0 when every run went well, otherwise 1"""


class Command(TeachingCommand):
    """Runs commands for tenants."""

    help = DESCRIPTION
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        """For which tenants, and what."""
        parser.add_argument("--using", metavar="ALIAS", help="the database (default: that of the router)")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--list", action="store_true", help="print the names of the tenants that have objects")
        which.add_argument("--all", action="store_true", help="run the command for each of them")
        parser.add_argument(
            "arguments", nargs=REMAINDER, metavar="NAME COMMAND ...", help="the tenant, and the command to run for it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """List, or run the command. Raises CommandError."""
        using, given = options["using"], options["arguments"]
        if using is not None:
            chosen_databases(using)
        if options["list"]:
            for name in tenants(using):
                self.stdout.write(name)
            return
        names = tenants(using) if options["all"] else given[:1]
        command = given if options["all"] else given[1:]
        if not command:
            raise CommandError("Name a tenant (or --all) and a command: manage.py sb_tenant acme migrate.")
        self._run(names, using, command, verbose=options["verbosity"] > 0)

    def _run(self, names: list[str], using: str | None, command: list[str], *, verbose: bool) -> None:
        failed: list[str] = []
        stdout, stderr = self.stdout._out, self.stderr._out
        for name in names:
            if verbose and len(names) > 1:
                self.stdout.write(self.style.MIGRATE_HEADING(f"Tenant {name}:"))
            try:
                with tenant(name, using=using):
                    call_command(*command, stdout=stdout, stderr=stderr)
            except InvalidTenant as error:
                raise CommandError(str(error)) from error
            except (CommandError, DatabaseError) as error:
                if len(names) == 1:
                    raise
                failed.append(name)
                self.stderr.write(f"{name}: {error}")
        if failed:
            raise CommandError(f"{part_of(len(failed), len(names), 'tenant')} failed: {', '.join(failed)}.")
