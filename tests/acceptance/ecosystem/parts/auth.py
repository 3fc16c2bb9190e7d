"""Users, groups and permissions, their commands, and the reset of a password."""

from __future__ import annotations

import re
from io import StringIO
from unittest import mock

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import IntegrityError
from django.test import Client

from tests.acceptance.ecosystem.project.shop.models import Product


def test_permissions_come_from_the_user_and_from_groups(midway) -> None:
    editors = Group.objects.create(name="editors")
    editors.permissions.set(Permission.objects.filter(content_type__app_label="articles"))
    ada = User.objects.create_user("ada")
    ada.groups.add(editors)
    ada.user_permissions.add(Permission.objects.get(codename="view_order"))
    for _ in midway.turns():
        user = User.objects.get(username="ada")  # a fresh one, as permissions are cached with it
        assert user.has_perms(["articles.change_article", "articles.add_author", "shop.view_order"])
        assert not user.has_perm("shop.change_order")
        assert user.has_module_perms("articles")
        assert [each.username for each in User.objects.with_perm("articles.add_article", include_superusers=False)] == [
            "ada"
        ]
        assert list(User.objects.filter(groups__name="editors")) == [ada]
    editors.permissions.clear()
    assert not User.objects.get(username="ada").has_perm("articles.change_article")


def test_names_are_unique_and_permissions_exist_for_each_model(midway) -> None:
    User.objects.create_user("ada", email="ada@example.com")
    Group.objects.create(name="editors")
    midway()
    with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: auth_user\.username"):
        User.objects.create_user("ada")
    with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: auth_group\.name"):
        Group.objects.create(name="editors")
    product = ContentType.objects.get_for_model(Product)
    codenames = Permission.objects.filter(content_type=product).values_list("codename", flat=True)
    assert sorted(codenames) == ["add_product", "change_product", "delete_product", "view_product"]
    assert User.objects.get_by_natural_key("ada").email == "ada@example.com"


def test_password_is_reset_by_the_link_in_the_mail(client: Client, midway) -> None:
    User.objects.create_user("ada", email="ada@example.com", password="forgotten")
    client.post("/accounts/password_reset/", {"email": "nobody@example.com"})
    assert mail.outbox == []
    midway()
    client.post("/accounts/password_reset/", {"email": "ADA@example.com"})
    (message,) = mail.outbox
    link = re.search(r"https?://\S+?(/accounts/reset/\S+)", message.body)[1]
    form = client.get(link, follow=True)
    secret = "correct-horse"
    done = client.post(form.redirect_chain[0][0], {"new_password1": secret, "new_password2": secret})
    assert done.url == "/accounts/reset/done/"
    assert authenticate(username="ada", password=secret).username == "ada"
    assert "unsuccessful" in client.get(link, follow=True).content.decode()  # a link works once


def test_createsuperuser_makes_one_and_refuses_a_second_of_the_name(monkeypatch, midway) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "secret")
    names = {"username": "root", "email": "root@example.com", "interactive": False}
    printed = StringIO()
    call_command("createsuperuser", **names, stdout=printed)
    assert printed.getvalue() == "Superuser created successfully.\n"
    assert authenticate(username="root", password="secret").is_superuser
    midway()
    with pytest.raises(CommandError, match="Error: That username is already taken"):
        call_command("createsuperuser", **names)
    assert User.objects.filter(username="root").count() == 1


def test_changepassword_asks_twice_and_changes_it(midway) -> None:
    User.objects.create_user("ada", password="old")
    assert authenticate(username="ada", password="old")
    midway()
    printed = StringIO()
    with mock.patch("getpass.getpass", return_value="new-and-long"):
        call_command("changepassword", "ada", stdout=printed)
    assert printed.getvalue() == "Changing password for user 'ada'\nPassword changed successfully for user 'ada'\n"
    assert authenticate(username="ada", password="new-and-long")
    with pytest.raises(CommandError, match="user 'bob' does not exist"):
        call_command("changepassword", "bob")


def test_login_page_takes_the_password_and_leads_on(client: Client, midway) -> None:
    User.objects.create_user("ada", password="secret")
    assert client.get("/accounts/password_change/").status_code == 302
    midway()
    done = client.post("/accounts/login/?next=/visits/", {"username": "ada", "password": "secret"})
    assert done.url == "/visits/"
    form = {"old_password": "secret", "new_password1": "a-new-secret", "new_password2": "a-new-secret"}
    assert client.post("/accounts/password_change/", form).url == "/accounts/password_change/done/"
    assert client.get("/visits/").status_code == 200  # one's own session goes on
    assert authenticate(username="ada", password="a-new-secret")
