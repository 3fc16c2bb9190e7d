"""Sites, flat pages and redirects."""

from __future__ import annotations

import pytest
from django.contrib.flatpages.forms import FlatpageForm
from django.contrib.flatpages.models import FlatPage
from django.contrib.redirects.models import Redirect
from django.contrib.sites.models import Site
from django.db import IntegrityError, transaction
from django.template import Context, Template
from django.test import Client, RequestFactory


def test_site_is_there_after_migrate_and_follows_its_host(settings, midway) -> None:
    assert Site.objects.values_list("pk", "domain").get() == (1, "example.com")
    other = Site.objects.create(domain="other.example", name="Other")
    assert Site.objects.get_current().domain == "example.com"
    del settings.SITE_ID
    settings.ALLOWED_HOSTS = ["other.example"]
    Site.objects.clear_cache()
    midway()
    request = RequestFactory().get("/", headers={"host": "other.example"})
    assert Site.objects.get_current(request) == other
    with pytest.raises(IntegrityError, match=r"UNIQUE constraint failed: django_site\.domain"):
        Site.objects.create(domain="example.com", name="Twice")


def test_flat_page_is_shown_where_no_view_is(client: Client, midway) -> None:
    page = FlatPage.objects.create(url="/about/", title="About", content="<p>Anvils since 1949.</p>")
    assert client.get("/about/").status_code == 404  # it is on no site yet
    page.sites.add(Site.objects.get())
    assert client.get("/about/").content.decode().strip() == "<title>About</title><p>Anvils since 1949.</p>"
    midway()
    assert client.get("/about").url == "/about/"
    FlatPage.objects.create(url="/staff/", title="Staff", registration_required=True).sites.add(1)
    assert client.get("/staff/").url == "/accounts/login/?next=/staff/"
    template = Template(
        "{% load flatpages %}{% get_flatpages as pages %}{% for page in pages %}{{ page.url }} {% endfor %}"
    )
    assert template.render(Context()) == "/about/ "
    form = FlatpageForm({"url": "/about/", "title": "Again", "sites": [1]})
    assert form.errors == {"__all__": ["Flatpage with url /about/ already exists for site example.com"]}


def test_redirect_leads_on_or_says_that_a_page_is_gone(client: Client, midway) -> None:
    Redirect.objects.create(site_id=1, old_path="/old/", new_path="/visits/")
    Redirect.objects.create(site_id=1, old_path="/gone/", new_path="")
    assert (client.get("/old/").status_code, client.get("/old/").url) == (301, "/visits/")
    midway()
    assert client.get("/old/").url == "/visits/"
    assert client.get("/gone/").status_code == 410
    assert client.get("/unknown/").status_code == 404
    with pytest.raises(IntegrityError, match="UNIQUE constraint failed"), transaction.atomic():
        Redirect.objects.create(site_id=1, old_path="/old/", new_path="/elsewhere/")
    assert Redirect.objects.count() == 2
