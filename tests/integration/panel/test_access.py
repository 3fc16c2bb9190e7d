"""Who sees the pages, and who may act."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from django_smarterbase.profiling import recorder
from tests.integration.commands.site import Site
from tests.integration.panel.conftest import permission

PROFILES = "/admin/django_smarterbase/queryprofiles/"
METHOD = f"{PROFILES}method/?name=x"
HEALTH = "/admin/django_smarterbase/indexhealth/"
JOB = f"{HEALTH}job/default/"
ACTIONS = (f"{HEALTH}check/", f"{HEALTH}reindex/", f"{HEALTH}pack/")
LogIn = Callable[..., Client]


def text(client: Client, path: str) -> str:
    """A page that must be there."""
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return answer.content.decode()


def test_pages_stand_in_the_index_of_the_admin_like_any_other_entry(root: Client) -> None:
    index = text(root, "/admin/")
    assert f'<a href="{PROFILES}">Query profiles</a>' in index
    assert f'<a href="{HEALTH}">Index health</a>' in index
    links = dict(re.findall(r'<a href="(/admin/django_smarterbase/\w+/)" class="(\w+)"', index))
    assert links == {PROFILES: "viewlink", HEALTH: "changelink"}
    assert "queryprofiles/add" not in index
    assert "indexhealth/add" not in index


@pytest.mark.parametrize("path", [PROFILES, METHOD, HEALTH, JOB])
def test_staff_without_permission_sees_nothing(client_of: LogIn, path: str) -> None:
    client = client_of()
    assert client.get(path).status_code == 403
    assert "SmarterBase" not in text(client, "/admin/")


def test_address_of_a_log_entry_is_for_viewers_only(client_of: LogIn) -> None:
    path = f"{HEALTH}default_2Farticles/change/"
    assert client_of().get(path).status_code == 403
    answer = client_of("view_indexhealth").get(path)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{HEALTH}#sb-default-articles")


@pytest.mark.parametrize("path", [PROFILES, METHOD, HEALTH, JOB, *ACTIONS])
def test_strangers_are_asked_to_log_in(site: Site, path: str) -> None:
    answer = Client().get(path)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/admin/login/?next=")


def test_permission_for_one_page_is_none_for_the_other(client_of: LogIn) -> None:
    client = client_of("view_queryprofiles")
    assert "Index health" not in text(client, PROFILES)
    assert client.get(HEALTH).status_code == 403
    client = client_of("view_indexhealth")
    assert "Query profiles" not in text(client, HEALTH)
    assert client.get(PROFILES).status_code == 403


def test_viewer_sees_no_buttons_and_may_not_act(client_of: LogIn) -> None:
    client = client_of("view_indexhealth")
    page = text(client, HEALTH)
    assert "articles.Article" in page
    assert "sb-actions" not in page
    assert "sb-row-actions" not in page
    for path in ACTIONS:
        for confirmed in ({}, {"confirmed": "yes"}):
            assert client.post(path, {"database": "default", **confirmed}).status_code == 403
    assert "No job has been begun" in text(client, JOB)


def test_one_who_may_change_sees_buttons_without_a_permission_to_view(client_of: LogIn) -> None:
    page = text(client_of("change_indexhealth"), HEALTH)
    assert 'aria-label="Reindex articles.Article"' in page


def test_actions_refuse_a_post_without_a_token(client_of: LogIn) -> None:
    client = client_of(superuser=True, enforce_csrf_checks=True)
    for path in ACTIONS:
        assert client.post(path, {"database": "default", "confirmed": "yes"}).status_code == 403
    assert "No job has been begun" in text(client, JOB)


def test_actions_do_nothing_on_get(root: Client) -> None:
    for path in ACTIONS:
        answer = root.get(f"{path}?database=default&confirmed=yes")
        assert (answer.status_code, answer.headers["Location"]) == (302, HEALTH)
    assert "No job has been begun" in text(root, JOB)


def test_migrate_makes_the_permissions_that_the_pages_know(site: Site) -> None:
    permission("view_queryprofiles")
    found = Permission.objects.filter(content_type__app_label="django_smarterbase")
    assert {each.codename: each.name for each in found} == {
        "view_queryprofiles": "Can view query profile",
        "view_indexhealth": "Can view index",
        "change_indexhealth": "Can change index",
    }


def test_pages_stand_in_another_admin_site_too(root: Client) -> None:
    assert '<a href="/backstage/django_smarterbase/queryprofiles/">' in text(root, "/backstage/")
    page = text(root, "/backstage/django_smarterbase/indexhealth/")
    assert 'formaction="/backstage/django_smarterbase/indexhealth/reindex/"' in page
    assert 'href="/backstage/django_smarterbase/queryprofiles/"' in page
    assert "/admin/django_smarterbase/" not in page
    answer = root.post("/backstage/django_smarterbase/indexhealth/check/", {"database": "nowhere"})
    assert answer.headers["Location"] == "/backstage/django_smarterbase/indexhealth/"


def test_pages_have_no_inline_script_and_no_inline_style(root: Client) -> None:
    for path in (PROFILES, METHOD, HEALTH, JOB):
        page = text(root, path)
        assert "<style" not in page
        assert " style=" not in page
        assert " onclick=" not in page
        assert page.count("<script") == page.count("<script src=")


def test_own_statements_of_the_pages_are_in_no_profile(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(recorder, "_sinks", (lambda profile: told.append(profile.method),))
    for path in (PROFILES, METHOD, HEALTH, JOB):
        text(root, path)
    assert told == []
    text(root, "/admin/")
    assert told != []


def test_names_of_the_addresses_are_those_of_any_model(site: Site) -> None:
    assert reverse("admin:django_smarterbase_queryprofiles_changelist") == PROFILES
    assert reverse("admin:django_smarterbase_indexhealth_changelist") == HEALTH
