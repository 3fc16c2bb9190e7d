"""The debug toolbar on the example site's pages: the panel is opened, by mouse and by keyboard, in either theme."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from testproject.services import RedisServer
from tests.serving import Site, serve

#: WCAG 2, level AA, for text of this size.
CONTRAST = 4.5
HISTORY_SCRIPT = 'script[src*="/history"]'
ARTICLES = """
author = Author.objects.create(name="Mary Somerville")
for number in range(3):
    Article.objects.create(author=author, category="science", title=f"Letter {number}", status="published")
"""


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """The site's Redis, which a test may kill."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def site(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The example site with the toolbar and three articles."""
    folder = tmp_path_factory.mktemp("site")
    with serve(folder, REDIS_URL=redis.url, SMARTERBASE_TOOLBAR="1") as running:
        running.run(ARTICLES)
        yield running


@pytest.fixture(autouse=True)
def redis_up(redis: RedisServer, site: Site) -> None:
    """A Redis that runs and is trusted, whatever the test before did to it."""
    if redis.pid is None:
        redis.start()
        site.manage("sb_reindex")


def enter_admin(page: Page, site: Site) -> None:
    """Log in as the superuser."""
    page.goto(f"{site.url}/admin/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(site.password or "")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Site administration")).to_be_visible()


def open_panel(page: Page) -> Locator:
    """Open the panel, once the toolbar has been loaded; the panel."""
    page.locator("#djdt-SmarterBasePanel a").click()
    panel = page.locator("#SmarterBasePanel")
    expect(panel.get_by_role("table").first).to_be_visible()
    return panel


def row_of(panel: Locator, method: str) -> Locator:
    """The row of a query."""
    return panel.get_by_role("row").filter(has=panel.page.get_by_role("rowheader").filter(has_text=method)).first


def contrast(element: Locator) -> float:
    """The contrast of an element's text with what is painted behind it, as WCAG 2 defines it."""
    ratio: float = element.evaluate(
        """element => {
            const channels = colour => colour.match(/[\\d.]+/g).map(Number);
            const luminance = colour => channels(colour).slice(0, 3)
                .map(value => value / 255)
                .map(value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
                .reduce((sum, value, place) => sum + value * [0.2126, 0.7152, 0.0722][place], 0);
            let behind = element;
            while ((channels(getComputedStyle(behind).backgroundColor)[3] ?? 1) < 1) behind = behind.parentElement;
            const [dark, light] = [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor]
                .map(luminance).sort((one, other) => one - other);
            return (light + 0.05) / (dark + 0.05);
        }"""
    )
    return ratio


def test_panel_shows_the_query_of_a_page_and_opens_it_to_its_plan(page: Page, site: Site) -> None:
    page.goto(site.url)
    expect(page.locator("#djdt-SmarterBasePanel small")).to_have_text(
        re.compile(r"^1 query, \d storage ops, [\d.]+ ms$")
    )
    panel = open_panel(page)
    row = row_of(panel, "LatestPublishedArticles")
    expect(row).to_contain_text("redis:articles-by-created_at+articles-by-status")
    expect(panel.get_by_text("authors: JoinLookup")).to_be_hidden()
    panel.locator("summary").click()
    expect(panel.get_by_text("authors: JoinLookup by the values of articles.author_id, key, O(1)")).to_be_visible()
    expect(panel.get_by_role("table", name="Requests of LatestPublishedArticles")).to_be_visible()


def test_panel_marks_a_fallback_when_redis_was_killed(page: Page, site: Site, redis: RedisServer) -> None:
    redis.kill()
    page.goto(site.url)
    expect(page.locator("#djdt-SmarterBasePanel small")).to_have_text(re.compile(r", 1 fallback$"))
    row = row_of(open_panel(page), "LatestPublishedArticles")
    expect(row.get_by_role("rowheader")).to_have_text(re.compile(r"\[FALLBACK\]\s+\[FULL SCAN\]"))
    expect(row).to_contain_text("Redis unreachable")


def test_panel_groups_the_duplicates_of_an_admin_page(page: Page, site: Site) -> None:
    enter_admin(page, site)
    page.goto(f"{site.url}/admin/articles/article/")
    panel = open_panel(page)
    expect(row_of(panel, "ChangeList.get_results").get_by_role("rowheader")).to_contain_text("[2 TIMES]")
    panel.get_by_text("each of the 2 executions").click()
    expect(panel.get_by_role("table", name="Requests of ChangeList.get_results").get_by_role("row")).to_have_count(3)


def test_panel_keeps_a_strict_security_policy(page: Page, site: Site) -> None:
    enter_admin(page, site)

    def under_policy(route: Route) -> None:
        response = route.fetch()
        policy = "default-src 'self'; img-src 'self' data:"
        route.fulfill(response=response, headers={**response.headers, "Content-Security-Policy": policy})

    page.route(re.compile("/admin/articles/article/"), under_policy)
    page.goto(f"{site.url}/admin/articles/article/?q=a+title")
    mark = open_panel(page).locator(".smarterbase-scan").first
    expect(mark).to_have_css("background-color", "rgb(138, 82, 0)")  # the stylesheet has come


def test_panel_is_worked_by_keyboard(page: Page, site: Site) -> None:
    page.goto(site.url)
    page.locator("#djdt-SmarterBasePanel a").press("Enter")
    summary = page.locator("#SmarterBasePanel summary")
    summary.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(summary).to_be_focused()
    expect(summary).to_have_css("outline-style", "solid")  # once the stylesheet has come
    page.keyboard.press("Space")
    expect(page.locator("#SmarterBasePanel pre")).to_be_visible()


def test_history_leads_back_to_the_queries_of_an_earlier_page(page: Page, site: Site) -> None:
    page.goto(site.url)
    page.goto(f"{site.url}/admin/login/")
    page.locator("#djdt-HistoryPanel a").click()
    entry = page.locator("#HistoryPanel tbody tr").filter(has=page.locator("td", has_text=re.compile(r"^\s*/\s*$")))
    entry.first.wait_for()
    # The toolbar loads the script of this panel after its content. Before it has run, the button sends a form.
    page.locator(HISTORY_SCRIPT).wait_for(state="attached")
    page.evaluate("selector => import(document.querySelector(selector).src).then(() => null)", HISTORY_SCRIPT)
    entry.first.get_by_role("button", name="Switch").click()
    expect(page.locator("#djdt-SmarterBasePanel small")).to_have_text(re.compile("^1 query"))
    expect(row_of(open_panel(page), "LatestPublishedArticles")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_panel_can_be_read_in_either_theme(page: Page, site: Site, redis: RedisServer, theme: str) -> None:
    redis.kill()
    page.emulate_media(color_scheme=theme)
    page.goto(site.url)
    panel = open_panel(page)
    mark = panel.locator(".smarterbase-fallback")
    expect(mark).to_have_css("background-color", "rgb(179, 38, 30)")  # the stylesheet has come
    panel.locator("summary").click()
    ours = panel.locator("caption, th, td, small, summary, strong, pre, p")
    assert ours.count() > 40
    assert [(each.inner_text(), ratio) for each in ours.all() if (ratio := contrast(each)) < CONTRAST] == []
