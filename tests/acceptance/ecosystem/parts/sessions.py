"""Sessions and messages, in the database and in the cache before it."""

from __future__ import annotations

import datetime

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client, override_settings
from django.utils import timezone

ENGINES = ["django.contrib.sessions.backends.db", "django.contrib.sessions.backends.cached_db"]


@pytest.fixture(params=ENGINES, ids=["db", "cached_db"])
def engine(request: pytest.FixtureRequest):
    """One of the engines that keep sessions in the database."""
    cache.clear()
    with override_settings(SESSION_ENGINE=request.param):
        yield request.param
    cache.clear()


def test_session_counts_visits_and_messages_wait_for_the_next_page(engine: str, client: Client, midway) -> None:
    assert client.get("/visits/").json() == {"visits": 1, "messages": [], "site": "example.com"}
    assert client.get("/visits/").json()["messages"] == ["That was visit 1."]
    midway(by_key=True)
    assert client.get("/visits/").json() == {"visits": 3, "messages": ["That was visit 2."], "site": "example.com"}
    assert Session.objects.get(pk=client.session.session_key).get_decoded()["visits"] == 3
    stranger = Client()
    assert stranger.get("/visits/").json()["visits"] == 1
    assert Session.objects.get(pk=stranger.session.session_key).get_decoded()["visits"] == 1


def test_session_is_found_in_the_database_when_the_cache_has_lost_it(engine: str, client: Client, midway) -> None:
    client.get("/visits/")
    cache.clear()
    midway(by_key=True)
    assert client.get("/visits/").json()["visits"] == 2


def test_login_changes_the_key_and_a_new_password_ends_other_sessions(engine: str, client: Client, midway) -> None:
    user = User.objects.create_user("ada", password="secret")
    client.get("/visits/")
    before = client.session.session_key
    assert client.login(username="ada", password="secret")
    assert client.session.session_key != before
    assert Session.objects.filter(pk=before).count() == 0
    midway()
    assert client.get("/visits/").json()["visits"] == 2
    user.set_password("another")
    user.save()
    assert client.get("/accounts/password_change/").url == "/accounts/login/?next=/accounts/password_change/"
    assert not client.login(username="ada", password="secret")
    assert client.login(username="ada", password="another")


def test_clearsessions_removes_what_has_expired(engine: str, midway) -> None:
    visitors = [Client() for _ in range(3)]
    for visitor in visitors:
        visitor.get("/visits/")
    old = [visitor.session.session_key for visitor in visitors[:2]]
    Session.objects.filter(pk__in=old).update(expire_date=timezone.now() - datetime.timedelta(days=1))
    midway()
    call_command("clearsessions")
    assert list(Session.objects.values_list("pk", flat=True)) == [visitors[2].session.session_key]
    assert Session.objects.filter(expire_date__gt=timezone.now()).count() == 1
