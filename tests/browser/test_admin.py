"""The pages of the admin in a real browser, under a strict Content Security Policy, through a real outage of Redis."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from testproject.services import RedisServer
from tests.browser.conftest import DEADLINE_MS, problems_of
from tests.serving import Site, serve

PROFILES = "/admin/django_smarterbase/queryprofiles/"
METHOD = f"{PROFILES}method/?name=LatestPublishedArticles"
HEALTH = "/admin/django_smarterbase/indexhealth/"
JOB = f"{HEALTH}job/default/"
PAGES = (PROFILES, METHOD, HEALTH, JOB)

ARTICLES = """
author = Author.objects.create(name="Mary Somerville")
for number in range(12):
    Article.objects.create(
        author=author, category=f"category {number % 3}", title=f"Letter {number}", status="published"
    )
"""
QUERIES = """
list(Article.objects.named("SearchTitles").filter(title="Letter 3"))
Article.objects.named("CountPublished").filter(status="published").count()
"""
FALLBACKS = """
from django_smarterbase.history import history_of
print(sum(profile.fallback for profile in history_of("default").read().profiles))
"""
STAFF = """
from django.contrib.auth.models import Permission, User
for name, codenames in {"viewer": ["view_queryprofiles", "view_indexhealth"], "clerk": []}.items():
    user = User.objects.create_user(name, password="a password", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
"""


#: What reaches beyond the right edge of the panel.
BEYOND_THE_PANEL = """() => {
    const edge = document.querySelector(".sb-panel").getBoundingClientRect().right;
    return [...document.querySelectorAll(".sb-panel *:not(title)")]
        .filter(each => each.getBoundingClientRect().right > edge + 1 && !each.closest("svg"))
        .map(each => each.outerHTML.slice(0, 80));
}"""


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """The site's Redis, which a test may kill."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def site(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The example site after an outage of Redis: queries before it, in it and after it, and a rebuild in the end."""
    with serve(
        tmp_path_factory.mktemp("site"),
        REDIS_URL=redis.url,
        SMARTERBASE_AUTO_REINDEX="0",
        SMARTERBASE_WRITE_DEADLINE="5",  # for which a rebuild is under way, so that a slow browser sees that too
        DJANGO_SETTINGS_MODULE="tests.browser.settings",
    ) as running:
        running.run(ARTICLES)
        running.run(STAFF)
        visit(running, 3)
        redis.kill()
        visit(running, 2)
        redis.start()
        await_profiles_of_the_outage(running)
        running.manage("sb_reindex")
        visit(running, 3)
        running.run(QUERIES)
        yield running


def visit(site: Site, times: int) -> None:
    """Have the site answer queries. Its process keeps their profiles while there is no Redis to send them to."""
    for _ in range(times):
        assert "Letter 3" in site.get("/")


def await_profiles_of_the_outage(site: Site) -> None:
    """Until the site has noticed that Redis is back, and has sent what it had kept."""
    deadline = time.monotonic() + 4 * DEADLINE_MS / 1000  # each look is a process of its own
    while int(site.run(FALLBACKS)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.5)


def log_in(page: Page, site: Site, name: str = "admin", password: str = "") -> None:
    """Log in by the form of the admin."""
    page.goto(f"{site.url}/admin/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password or site.password or "")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Site administration")).to_be_visible()


@pytest.fixture(scope="module")
def cookies(site: Site) -> list[Any]:
    """The cookies of a browser in which the superuser has logged in."""
    site.submit("/admin/login/", username="admin", password=site.password or "", next="/admin/")
    return [{"name": each.name, "value": each.value or "", "url": site.url} for each in site.session.cookies]


@pytest.fixture
def admin(page: Page, cookies: list[Any]) -> Page:
    """A page on which the superuser is logged in."""
    page.context.add_cookies(cookies)
    return page


@pytest.fixture
def scriptless(browser: Browser, site: Site) -> Iterator[BrowserContext]:
    """A browser that runs no script."""
    context = browser.new_context(java_script_enabled=False)
    context.set_default_timeout(DEADLINE_MS)
    yield context
    context.close()


def see_profiles(page: Page, address: str) -> None:
    """A page with the profiles of all processes. A Redis that is slow for once is left alone for half a minute, during
    which the page has those of the site's own process."""
    deadline = time.monotonic() + 2 * DEADLINE_MS / 1000
    page.goto(address)
    while page.get_by_text("the profiles of this process only").count():
        assert time.monotonic() < deadline
        time.sleep(0.5)
        page.reload()


def follow(page: Page, link: Locator) -> None:
    """Click on what leads to another page, until that is loaded: a click ends when its answer has begun, and what is
    read at once would be of a page that is not whole."""
    with page.expect_event("load"):
        link.click()


def methods(page: Page) -> list[str]:
    """The methods in the order of their table."""
    return page.get_by_role("table", name="Methods").get_by_role("rowheader").get_by_role("link").all_inner_texts()


def figure(page: Page, name: str) -> str:
    """One of the figures over all queries."""
    return page.locator(".sb-figures > div").filter(has_text=re.compile(f"^{name}")).locator("dd").inner_text()


def test_both_pages_are_entered_from_the_index_of_the_admin(page: Page, site: Site) -> None:
    log_in(page, site)
    page.get_by_role("link", name="Query profiles").first.click()
    expect(page.get_by_role("heading", name="Query profiles", level=1)).to_be_visible()
    page.get_by_role("navigation", name="Pages of SmarterBase").get_by_role("link", name="Index health").click()
    expect(page.get_by_role("heading", name="Index health", level=1)).to_be_visible()


def test_outage_is_seen_in_figures_and_chart(admin: Page, site: Site) -> None:
    see_profiles(admin, f"{site.url}{PROFILES}")
    expect(admin.get_by_text("the shared history of all processes, in Redis")).to_be_visible()
    assert int(figure(admin, "Fallbacks").replace(",", "")) >= 2
    assert admin.locator("svg .sb-band.sb-outage").count() >= 1
    expect(admin.get_by_text("Redis could not be reached")).to_be_visible()
    admin.get_by_text("Figures of the chart").click()
    outages = admin.get_by_role("table", name="Latency over time").locator("td[data-label='Without Redis']")
    assert sum(int(text) for text in outages.all_inner_texts()) >= 2


def test_methods_are_sorted_by_their_heads(admin: Page, site: Site) -> None:
    see_profiles(admin, f"{site.url}{PROFILES}")
    follow(admin, admin.get_by_role("columnheader", name="Method").get_by_role("link"))
    rising = methods(admin)
    assert rising == sorted(rising, key=str.lower)
    expect(admin.get_by_role("columnheader", name="Method")).to_have_attribute("aria-sort", "ascending")
    follow(admin, admin.get_by_role("columnheader", name="Method").get_by_role("link"))
    assert methods(admin) == rising[::-1]
    follow(admin, admin.get_by_role("columnheader", name="Storage ops").get_by_role("link"))
    expect(admin.get_by_role("columnheader", name="Storage ops")).to_have_attribute("aria-sort", "descending")


def test_filters_leave_what_is_asked_for_and_keep_the_order(admin: Page, site: Site) -> None:
    see_profiles(admin, f"{site.url}{PROFILES}?o=method")
    admin.get_by_label("Method contains").fill("published")
    follow(admin, admin.get_by_role("button", name="Apply"))
    assert methods(admin) == ["CountPublished", "LatestPublishedArticles"]
    admin.get_by_label("Fallback").check()
    follow(admin, admin.get_by_role("button", name="Apply"))
    assert methods(admin) == ["LatestPublishedArticles"]
    follow(admin, admin.get_by_role("link", name="Clear all filters"))
    admin.get_by_label("Model").select_option("articles.Article")
    admin.get_by_label("Full scan").check()
    admin.get_by_label("Period").select_option("Last hour")
    follow(admin, admin.get_by_role("button", name="Apply"))
    assert set(methods(admin)) == {"LatestPublishedArticles", "SearchTitles"}


def test_method_shows_plans_advice_and_latest_profiles(admin: Page, site: Site) -> None:
    see_profiles(admin, f"{site.url}{PROFILES}")
    admin.get_by_role("link", name="SearchTitles").click()
    expect(admin.get_by_role("heading", name="SearchTitles", level=1)).to_be_visible()
    expect(admin.get_by_role("heading", name="1 full scan on title")).to_be_visible()
    expect(admin.get_by_text("Add db_index=True to Article.title.")).to_be_visible()
    expect(admin.get_by_text("Estimated 11 fewer reads a query.")).to_be_visible()
    plan = admin.get_by_role("article", name="Plan 1")
    expect(plan).to_contain_text("articles: Scan of every document, O(n)")
    admin.get_by_role("link", name="Plan 1").click()
    expect(plan).to_be_in_viewport()
    follow(admin, admin.get_by_role("link", name="Query profiles").last)
    assert "SearchTitles" in methods(admin)


def test_reindex_is_confirmed_followed_and_logged(admin: Page, site: Site) -> None:
    admin.goto(f"{site.url}{HEALTH}")
    epoch = admin.locator("#sb-default-articles .sb-epoch").inner_text()
    admin.get_by_role("button", name="Reindex articles.Article").click()
    expect(admin.get_by_role("heading", name="Reindex: articles.Article (default)")).to_be_visible()
    admin.get_by_role("button", name="Yes, reindex").click()
    status = admin.get_by_role("status")
    expect(status).to_contain_text("Under way")
    expect(admin.get_by_role("progressbar", name="Progress")).to_be_visible()
    status.evaluate("element => { element.dataset.mark = 'the same element' }")
    expect(status).to_have_text("Ended, and all is well.")
    expect(status).to_have_attribute("data-mark", "the same element")  # otherwise it is not read out
    row = admin.get_by_role("row").filter(has=admin.get_by_role("rowheader", name="articles.Article"))
    expect(row).to_contain_text("rebuilt")
    admin.get_by_role("link", name="Back to the indexes").click()
    expect(admin.locator("#sb-default-articles .sb-epoch")).not_to_have_text(epoch)
    expect(admin.get_by_text("by admin, just now")).to_be_visible()
    admin.goto(f"{site.url}/admin/")
    admin.get_by_role("link", name="articles.Article (default)").first.click()
    expect(admin).to_have_url(f"{site.url}{HEALTH}#sb-default-articles")


def test_packing_is_confirmed_and_its_packs_are_shown(admin: Page, site: Site) -> None:
    admin.goto(f"{site.url}{HEALTH}")
    expect(admin.locator("#sb-default-articles")).not_to_contain_text("unpacked")
    admin.get_by_role("button", name="Pack articles.Article").click()
    expect(admin.get_by_role("heading", name="Pack: articles.Article (default)")).to_be_visible()
    admin.get_by_role("button", name="Yes, pack").click()
    expect(admin.get_by_role("status")).to_have_text("Ended, and all is well.")
    row = admin.get_by_role("row").filter(has=admin.get_by_role("rowheader", name="articles.Article"))
    expect(row).to_contain_text("in 1 pack")
    admin.get_by_role("link", name="Back to the indexes").click()
    packs = admin.get_by_role("row").filter(has=admin.get_by_role("rowheader", name="1 pack"))
    expect(packs).to_contain_text("made just now")


def test_check_of_all_tables_is_followed_without_script(
    scriptless: BrowserContext, site: Site, cookies: list[Any]
) -> None:
    scriptless.add_cookies(cookies)
    page = scriptless.new_page()
    page.goto(f"{site.url}{HEALTH}")
    page.get_by_role("button", name="Check all tables").click()
    page.get_by_role("button", name="Yes, check").click()
    expect(page.get_by_role("status")).to_have_text("Ended, and all is well.")
    page.get_by_role("link", name="Back to the indexes").click()
    expect(page.locator("#sb-default-articles")).to_contain_text("0.0 %")


def test_actions_are_reached_and_worked_by_keyboard(admin: Page, site: Site) -> None:
    admin.goto(f"{site.url}{HEALTH}")
    button = admin.get_by_role("button", name="Check articles.Author")
    button.focus()
    admin.keyboard.press("Shift+Tab")
    admin.keyboard.press("Tab")
    expect(button).to_be_focused()
    assert button.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    admin.keyboard.press("Enter")
    admin.get_by_role("button", name="Yes, check").press("Enter")
    expect(admin.get_by_role("status")).to_have_text("Ended, and all is well.")


def test_viewer_sees_everything_and_may_do_nothing(page: Page, site: Site) -> None:
    log_in(page, site, "viewer", "a password")
    page.goto(f"{site.url}{HEALTH}")
    expect(page.get_by_role("rowheader", name="articles.Article")).to_be_visible()
    assert page.get_by_role("button", name=re.compile("Check|Reindex")).count() == 0
    token = page.locator("input[name=csrfmiddlewaretoken]").first.input_value()
    answer = page.request.post(
        f"{site.url}{HEALTH}reindex/",
        form={"csrfmiddlewaretoken": token, "database": "default", "confirmed": "yes"},
        headers={"Referer": site.url},
    )
    assert answer.status == 403
    assert "CSRF" not in answer.text()


def test_staff_without_permission_sees_nothing(page: Page, site: Site) -> None:
    log_in(page, site, "clerk", "a password")
    assert page.get_by_text("SmarterBase").count() == 0
    for path in PAGES:
        answer = page.goto(f"{site.url}{path}")
        assert answer is not None
        assert answer.status == 403


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_pages_keep_nobody_out(admin: Page, site: Site, scheme: str, width: int) -> None:
    admin.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    admin.set_viewport_size({"width": width, "height": 900})
    axe = Axe()
    for path in PAGES:
        admin.goto(f"{site.url}{path}")
        for summary in admin.locator("details > summary").all():
            summary.click()
        found = axe.run(admin).response["violations"]
        serious = [each for each in found if each["impact"] in {"serious", "critical"}]
        assert serious == [], [(each["id"], [node["html"] for node in each["nodes"]]) for each in serious]


@pytest.mark.parametrize("width", [375, 768, 1024, 1280, 1920])
def test_pages_fit_the_width_of_the_screen(admin: Page, site: Site, width: int) -> None:
    admin.set_viewport_size({"width": width, "height": 900})
    for path in PAGES:
        admin.goto(f"{site.url}{path}")
        assert admin.evaluate("document.documentElement.scrollWidth") <= width, path
        assert admin.evaluate(BEYOND_THE_PANEL) == [], path


def test_policy_is_sent_and_would_be_noted(browser: Browser, site: Site) -> None:
    context = browser.new_context()
    problems = problems_of(context)
    page = context.new_page()
    answer = page.goto(f"{site.url}/admin/login/")
    assert answer is not None
    assert answer.headers["content-security-policy"].startswith("default-src 'self';")
    with context.expect_event("console", lambda message: message.type == "error"):
        page.evaluate("document.body.setAttribute('style', 'color: red')")
        page.evaluate("document.head.appendChild(document.createElement('style')).textContent = 'body { color: red }'")
    context.close()
    assert problems


def test_redis_that_is_gone_is_said_to_be_so_on_both_pages(page: Page, tmp_path: Path, own_redis: RedisServer) -> None:
    with serve(tmp_path, REDIS_URL=own_redis.url, SMARTERBASE_AUTO_REINDEX="0") as site:
        site.run(ARTICLES)
        log_in(page, site)
        own_redis.kill()
        see_that_redis_is_gone(page, site)


def see_that_redis_is_gone(admin: Page, site: Site) -> None:
    admin.goto(f"{site.url}{HEALTH}")
    expect(admin.get_by_text("not reachable", exact=True)).to_be_visible()
    expect(admin.get_by_text(re.compile("since .*, as this process saw it"))).to_be_visible()
    visit(site, 1)
    admin.goto(f"{site.url}{PROFILES}")
    expect(admin.get_by_text("the profiles of this process only. It has not reached Redis since")).to_be_visible()
    admin.goto(f"{site.url}{HEALTH}")
    admin.get_by_role("button", name="Reindex articles.Article").click()
    admin.get_by_role("button", name="Yes, reindex").click()
    expect(admin.get_by_role("status")).to_contain_text("Ended, and not every table was rebuilt.")
    expect(admin.get_by_text("No index of the database 'default' can be rebuilt")).to_be_visible()
