"""Much on the page, and what must never be there: thousands of keys, a value that is markup, secrets."""

from __future__ import annotations

from playwright.sync_api import expect

from confcast.testing import Application
from tests.support import bookshop
from tests.support.admin_page import VIEWS, Pages, visit
from tests.support.waiting import DEADLINE

KEYS = 5000
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def test_of_five_thousand_keys_only_those_in_sight_are_in_the_page(pages: Pages, shop: Application):
    shop.change("app.toml", bookshop.with_stock(KEYS))
    page = pages.open("values")
    expect(page.locator(".heading [role=status]")).to_contain_text("5,0", timeout=1000 * DEADLINE)
    rows = page.locator(".grid-body .grid-row")
    assert 0 < rows.count() < 80
    page.get_by_role("grid").press("End")
    expect(rows.last).to_contain_text("stock.shelf-0999.lamp")
    assert rows.count() < 80
    page.get_by_role("searchbox").fill("shelf-0500 full")
    expect(rows).to_have_count(1)
    rows.first.click()
    expect(page.locator(".explain h2")).to_have_text("stock.shelf-0500.full")


def test_a_value_is_never_read_as_markup(pages: Pages, shop: Application):
    page = pages.open("overview")
    shop.manager.set({"banner.text": HOSTILE, f'limits."{HOSTILE}"': "1"}, reason=HOSTILE)
    expect(page.locator(".hero .reason")).to_have_text(f"“{HOSTILE}”")
    for view in VIEWS:
        visit(page, view.capitalize())
        expect(page.locator("img")).to_have_count(0)
    assert page.evaluate("document.scripts.length") == 1


def test_no_secret_is_in_the_page_or_comes_to_it(pages: Pages, shop: Application):
    page = pages.open("overview")
    shop.change("app.toml", bookshop.TEXT.replace(bookshop.SECRETS[0], "battery-staple"))
    said = []
    for view in VIEWS:
        visit(page, view.capitalize())
        if view == "values":
            page.get_by_role("row").filter(has_text="database.password").click()
            page.locator(".explain .facts").wait_for()
            expect(page.get_by_role("link", name="Try another value")).to_have_count(0)
        said.append(page.content())
    asked = [each for each in pages.answers if "/v1/" in each.url and "/events" not in each.url and each.ok]
    said += [each.text() for each in asked]
    assert len(asked) > 8
    assert "**********" in "".join(said)
    for secret in (*bookshop.SECRETS, "battery-staple"):
        assert not [text for text in said if secret in text]
