"""``make run``: the example site on the loopback interface, with a Redis of its own unless ``REDIS_URL`` names one."""

from __future__ import annotations

import io
import os
import secrets
import sys
import threading

import django
from django.core.management import call_command

from testproject.services import LOOPBACK, end_orderly, redis_service

DEFAULT_PORT = "8000"
ADMIN = "admin"


def main(port: str) -> None:
    """Serve until Ctrl-C or SIGTERM, which also stop the Redis that was started here."""
    end_orderly()
    with redis_service() as url:
        os.environ["REDIS_URL"] = url
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "testproject.settings")
        django.setup()
        call_command("migrate", verbosity=0)
        create_admin()
        # A Redis that was just started knows nothing of the stored objects. The site need not wait for the rebuild.
        threading.Thread(target=rebuild_indexes, daemon=True).start()
        call_command("runserver", f"{LOOPBACK}:{port}", use_reloader=False)


def create_admin() -> None:
    """Create a superuser with a random password, shown once, unless there is a superuser already."""
    from django.contrib.auth.models import User

    if User.objects.filter(is_superuser=True).exists():
        return
    password = secrets.token_urlsafe(12)
    User.objects.create_superuser(ADMIN, password=password)
    sys.stdout.write(f"Created the superuser {ADMIN!r} with the password {password} (shown only now).\n")
    sys.stdout.write("To set another one: .venv/bin/python testproject/manage.py changepassword admin\n")


def rebuild_indexes() -> None:
    """Run ``sb_reindex`` for all tables, quietly."""
    call_command("sb_reindex", stdout=io.StringIO())


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else DEFAULT_PORT)
