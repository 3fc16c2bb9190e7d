"""The example site in a browser: the fixtures of this folder at work."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import problems_of
from tests.serving import serve


def test_admin_is_entered_by_its_form_and_shows_what_the_shell_made(page: Page, tmp_path: Path) -> None:
    with serve(tmp_path) as site:
        page.goto(f"{site.url}/admin/")
        page.get_by_label("Username").fill("admin")
        page.get_by_label("Password").fill(site.password or "")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name="Site administration")).to_be_visible()
        site.run("Author.objects.create(name='Mary Somerville')")
        page.get_by_role("link", name="Authors").click()
        expect(page.get_by_role("link", name="Mary Somerville")).to_be_visible()


def test_problems_of_a_page_are_noted_when_a_script_fails_or_breaks_the_policy(browser: Browser) -> None:
    context = browser.new_context()
    problems = problems_of(context)
    page = context.new_page()
    with context.expect_event("weberror"):
        page.set_content("<script>missing.name</script>")
    forbidding = """<meta http-equiv="Content-Security-Policy" content="script-src 'none'"><script>1</script>"""
    with context.expect_event("console", lambda message: message.type == "error"):
        page.set_content(forbidding)
    context.close()
    undefined, forbidden = problems
    assert undefined == "missing is not defined"
    assert "Content Security Policy" in forbidden
