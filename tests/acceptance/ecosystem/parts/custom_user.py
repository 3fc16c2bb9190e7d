"""A user model of the project's own, which logs in by e-mail address."""

from __future__ import annotations

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import authenticate, get_user_model
from django.contrib.auth.models import Permission
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client

from testproject.articles.models import Author

Member = get_user_model()


def test_createsuperuser_asks_for_the_fields_of_the_model(monkeypatch, midway) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "secret")
    call_command("createsuperuser", email="root@example.com", since=1999, interactive=False, verbosity=0)
    assert Member.objects.values("email", "since", "is_superuser").get() == {
        "email": "root@example.com",
        "since": 1999,
        "is_superuser": True,
    }
    midway()
    with pytest.raises(CommandError, match="That email is already taken"):
        call_command("createsuperuser", email="root@example.com", since=1999, interactive=False)
    with pytest.raises(CommandError, match="You must use --since with --noinput"):
        call_command("createsuperuser", email="other@example.com", interactive=False)


def test_member_logs_in_to_the_admin_and_is_in_its_history(client: Client, midway) -> None:
    member = Member.objects.create_superuser("root@example.com", "secret", since=1999)
    assert client.post("/admin/login/", {"username": "root@example.com", "password": "wrong"}).status_code == 200
    midway()
    done = client.post("/admin/login/?next=/admin/", {"username": "root@example.com", "password": "secret"})
    assert done.url == "/admin/"
    inline = {"articles-TOTAL_FORMS": 0, "articles-INITIAL_FORMS": 0}
    assert client.post("/admin/articles/author/add/", {"name": "Ada", **inline}).status_code == 302
    assert LogEntry.objects.select_related("user").get().user == member
    assert Author.objects.get().name == "Ada"


def test_member_has_permissions_and_resets_the_password(client: Client, midway) -> None:
    member = Member.objects.create_user("ada@example.com", "forgotten", since=2001)
    member.user_permissions.add(Permission.objects.get(codename="change_member"))
    assert Member.objects.get(email="ada@example.com").has_perm("accounts.change_member")
    midway()
    client.post("/accounts/password_reset/", {"email": "ada@example.com"})
    link = re.search(r"https?://\S+?(/accounts/reset/\S+)", mail.outbox[0].body)[1]
    form = client.get(link, follow=True)
    client.post(form.redirect_chain[0][0], {"new_password1": "correct-horse", "new_password2": "correct-horse"})
    assert authenticate(username="ada@example.com", password="correct-horse") == member
    assert Member.objects.get(user_permissions__codename="change_member") == member
