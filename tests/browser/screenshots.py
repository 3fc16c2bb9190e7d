"""``make screenshots``: the pictures of the documents, made of the example site in a real browser.

The site has a day of profiles, made of real ones with the durations of an idle machine: Redis is gone for two hours of
it, and its indexes are not trusted for a while afterwards.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

from testproject.services import RedisServer
from tests.browser.conftest import DEADLINE_MS, FLAGS, chromium
from tests.serving import ROOT, Site, serve

IMAGES = ROOT / "docs" / "images"
PROFILES = "/admin/django_smarterbase/queryprofiles/"
HEALTH = "/admin/django_smarterbase/indexhealth/"
WIDTH = 1280

ARTICLES = """
authors = [Author.objects.create(name=name) for name in ("Mary Somerville", "Ada Lovelace", "Emmy Noether")]
for number in range(60):
    Article.objects.create(
        author=authors[number % 3],
        category=("science", "history", "travel", "letters")[number % 4],
        title=f"Letter {number}",
        status=("published", "published", "draft")[number % 3],
    )
"""
PROFILES_OF_A_DAY = """
import random
from dataclasses import replace
from datetime import timedelta
from django.utils import timezone
from django_smarterbase.history import history_of
from django_smarterbase.profiling import profile_queries
from testproject.articles.store import ArticleStore

store, author = ArticleStore(), Author.objects.first()
with profile_queries() as block:
    store.latest_published(20)
    store.list_author_articles(author)
    store.top_of_category("science", 5)
    store.published_count()
    store.add_view(Article.objects.named("ShowArticle").first().pk)
    list(Article.objects.named("SearchTitles").filter(title="Letter 7"))
real = [profile for profile in block.profiles if profile.method != "shell"]
weights = [{"LatestPublishedArticles": 8, "AddArticleView": 5, "SearchTitles": 1}.get(each.method, 3) for each in real]
usual = {"LatestPublishedArticles": 6.0, "GetPublishedArticlesCount": 0.9, "AddArticleView": 4.0, "SearchTitles": 9.0}
chance, now = random.Random(3), timezone.now()
history = history_of("default")
history.clear()
for number, profile in enumerate(chance.choices(real, weights, k=2400)):
    minutes = 1435 * (2400 - number) / 2400
    begun = now - timedelta(minutes=minutes, seconds=chance.random() * 30)
    duration = usual.get(profile.method, 2.5) * chance.lognormvariate(0, 0.5)
    if 400 < minutes < 560 and profile.operation == "select" and profile.index_used.startswith("redis:"):
        reason = "Redis unreachable" if minutes > 440 else "Redis restarted"
        profile = replace(
            profile, complexity="O(n)", index_used="none:full-scan", fallback=True, fallback_reason=reason,
            candidates=60, storage_ops=replace(profile.storage_ops, reads=60, lists=1),
            plan=(*profile.plan, f"FALLBACK: the index is not trusted now ({reason}); its steps are full scans, O(n)."),
        )
        duration = duration * 9 + 20
    history.keep(replace(profile, started_at=begun, duration=duration))
    if number % 200 == 0:
        history.flush()
history.flush()
"""

LOST = """
from django_redis import get_redis_connection
get_redis_connection("smarterbase").delete("sb:{testproject:authors}:marker")
"""


WRITE_DEADLINE = 6  # seconds


@dataclass(frozen=True)
class Picture:
    """A picture of a page, from its top down to ``height``; in full where that is less."""

    page: str
    path: str
    scheme: Literal["light", "dark"]
    height: int


PICTURES = (
    Picture("profiles", PROFILES, "light", 1100),
    Picture("method", f"{PROFILES}method/?name=SearchTitles", "dark", 1000),
    Picture("indexes", HEALTH, "light", 900),
)


def main() -> None:
    """Make all pictures."""
    path = chromium()
    if path is None:
        sys.exit("No Chromium. Install it with: apt install chromium, or name one: CHROMIUM=/path/to/chrome")
    IMAGES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        RedisServer() as redis,
        serve(
            Path(folder),
            REDIS_URL=redis.url,
            SMARTERBASE_AUTO_REINDEX="0",
            SMARTERBASE_WRITE_DEADLINE=str(WRITE_DEADLINE),
        ) as site,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        picture_site(browser, site)
        browser.close()


def picture_site(browser: Browser, site: Site) -> None:
    """Fill the site, log in, and take the pictures."""
    site.run(ARTICLES)
    context = browser.new_context(locale="en-US", timezone_id="UTC")
    context.set_default_timeout(DEADLINE_MS)
    page = context.new_page()
    page.goto(f"{site.url}/admin/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(site.password or "")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{site.url}/admin/")
    site.run(PROFILES_OF_A_DAY)
    picture_job(page, site)
    site.manage("sb_check")
    site.run(LOST)
    for picture in PICTURES:
        take(page, site, picture)


def picture_job(page: Page, site: Site) -> None:
    """A rebuild of all tables under way, once the one with which the site starts is done."""
    page.wait_for_timeout((WRITE_DEADLINE + 2) * 1000)
    page.set_viewport_size({"width": WIDTH, "height": 800})
    page.goto(f"{site.url}{HEALTH}")
    page.get_by_role("button", name="Reindex all tables").click()
    page.get_by_role("button", name="Yes, reindex").click()
    page.wait_for_timeout(4000)
    page.screenshot(path=IMAGES / "admin-job-light.png")
    page.get_by_role("status").get_by_text("Ended").wait_for()


def take(page: Page, site: Site, picture: Picture) -> None:
    """Take a picture in its theme."""
    page.emulate_media(color_scheme=picture.scheme)
    page.set_viewport_size({"width": WIDTH, "height": 900})
    page.goto(f"{site.url}{picture.path}")
    whole = int(page.evaluate("document.documentElement.scrollHeight"))
    page.screenshot(
        path=IMAGES / f"admin-{picture.page}-{picture.scheme}.png",
        full_page=True,
        clip={"x": 0, "y": 0, "width": WIDTH, "height": min(whole, picture.height)},
    )


if __name__ == "__main__":
    main()
