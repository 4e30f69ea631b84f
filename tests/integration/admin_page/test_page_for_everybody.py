"""axe-core finds nothing in any view of the page, in both themes, at both widths; and the keyboard does all."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from confcast.testing import Application
from tests.support import bookshop
from tests.support.admin_page import VIEWS, AdminServer, Pages, fleet_state, sign_in, visit

LOOKS = [("dark", 390)]
OTHER_LOOKS = [
    pytest.param(*each, marks=pytest.mark.slow) for each in (("light", 1440), ("dark", 1440), ("light", 390))
]
_RULES = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}


def complaints(page: Page) -> list[str]:
    """What axe-core finds, a line each."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate("rules => axe.run(rules)", _RULES)["violations"]
    return [f"{each['id']}: {node['html']} {node['failureSummary']}" for each in found for node in each["nodes"]]


def busy(shop: Application) -> None:
    """Something in each part of each view: set, pending, refused, to be confirmed."""
    shop.change("app.toml", bookshop.TEXT.replace("workers = 4", "workers = 6"))
    shop.manager.set({"limits.api": 100}, ttl=1800, reason="too many requests")
    shop.manager.set({"features.preorder": "true"}, confirm_within=900, reason="the new edition")
    shop.change("app.toml", bookshop.TEXT.replace("pool = 12", "pool = 99"))


@pytest.mark.parametrize(("theme", "width"), [*LOOKS, *OTHER_LOOKS])
def test_axe_finds_nothing_in_any_view(pages: Pages, shop: Application, server: AdminServer, theme: Any, width: int):
    busy(shop)
    page = pages.fresh(color_scheme=theme, viewport={"width": width, "height": 900}, bypass_csp=True)
    page.route("**/v1/fleet*", lambda route: route.fulfill(json={"fleet": fleet_state()}))
    page.goto(server.url)
    page.get_by_label("Token", exact=True).wait_for()
    found = {"sign in": complaints(page)}
    sign_in(page, server.token("write"))
    for view in (*VIEWS, "fleet"):
        visit(page, view.capitalize())
        opened(page, view)
        found[view] = complaints(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{view} is wider than the window"
    page.get_by_role("button", name="Confirm", exact=True).click()
    page.get_by_role("dialog").wait_for()
    found["dialog"] = complaints(page)
    assert {view: each for view, each in found.items() if each} == {}


def opened(page: Page, view: str) -> None:
    """What a person can open there is open."""
    if view == "values":
        page.locator(".grid-body .grid-row").first.click()
        page.locator(".explain .problems").wait_for()  # the sources are refused
    elif view == "timeline":
        page.locator(".event-line").first.click()
    elif view == "change":
        page.get_by_label("Key", exact=True).fill("http.keep_alive")
        page.get_by_label("Value", exact=True).fill("6")
        page.get_by_role("button", name="Try it").click()
        page.locator("#outcome").wait_for()


def test_the_keyboard_goes_everywhere(pages: Pages):
    page = pages.open("overview")
    visit(page, "Workers")
    page.reload()
    page.locator("#heading").wait_for(state="attached")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    expect(page.locator("main")).to_have_class("view-workers")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("limits")
    expect(page.locator(".grid-body .grid-row")).to_have_count(4)
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(".explain h2")).to_have_text("limits.search")
    expect(page.locator(".explain")).to_contain_text("app.toml")
    page.get_by_role("link", name="Try another value").focus()
    page.keyboard.press("Escape")
    expect(page.locator(".explain")).to_have_count(0)
    expect(page.get_by_role("grid")).to_be_focused()


@pytest.mark.slow
def test_tabs_have_one_stop_and_arrows(pages: Pages):
    page = pages.open("change")
    page.get_by_role("tab", name="Values").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="A whole file")).to_be_focused()
    expect(page.get_by_role("tab", name="Values")).to_have_attribute("tabindex", "-1")
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Values")).to_have_attribute("aria-selected", "true")


@pytest.mark.slow
def test_escape_leaves_a_dialog_and_the_focus_is_where_it_was(pages: Pages):
    page = pages.open("overview")
    page.get_by_role("button", name="Roll back").press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Roll back")).to_be_focused()


def test_what_is_typed_outlives_what_comes_by_the_stream(pages: Pages, shop: Application):
    page = pages.open("change")
    box = page.get_by_label("Value", exact=True)
    box.fill("half a wor")
    event = shop.manager.set({"mail.batch": 40})
    expect(page).to_have_title(f"{event.version} · bookshop · confcast")
    expect(box).to_be_focused()
    expect(box).to_have_value("half a wor")


@pytest.mark.slow
def test_the_theme_is_the_systems_until_a_person_chooses(pages: Pages):
    page = pages.open("overview", color_scheme="dark")

    def background() -> str:
        return str(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))

    dark = background()
    page.get_by_role("button", name="Theme: auto").click()
    assert background() != dark
    page.get_by_role("button", name="Theme: light").click()
    assert background() == dark
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
