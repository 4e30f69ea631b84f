"""A real `confcast admin`, and its page in a real Chromium, as the tests of the page and its pictures use them."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from confcast.admin.answers import as_json
from confcast.cli.fleet import status
from confcast.fleet import reports
from confcast.fleet.engines.engine import Stored
from confcast.fleet.head import Head, Rollout, encode
from confcast.fleet.reports import Report
from tests.support.admin import AdminServer as AdminServer
from tests.support.waiting import DEADLINE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
VIEWS = ("overview", "values", "workers", "timeline", "versions", "change", "trials")
_OF_THE_NETWORK = "Failed to load resource"  # what the browser itself logs of an answer that is none


def chromium() -> str | None:
    """The browser's program; None if there is none, or nothing that could drive it."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return None
    return next(filter(None, map(shutil.which, NAMES)), None)


class Pages:
    """Pages of one browser, each with a memory of its own, as those of two people. Whatever a page has to say is kept.

    `faults` must be empty at a test's end: what a page has logged, raised, or asked of another host.
    """

    def __init__(self, browser: Browser, server: AdminServer, faults: list[str] | None = None) -> None:
        self.browser, self.server = browser, server
        self.faults: list[str] = [] if faults is None else faults
        self.answers: list[Any] = []
        self._contexts: list[Any] = []

    def open(self, view: str = "overview", *, role: str = "write", **how: Any) -> Page:
        """A page of somebody who has signed in; `how`: as a browser's context takes it."""
        page = self.fresh(**how)
        page.goto(f"{self.server.url}/#{view}")
        sign_in(page, self.server.token(role))
        return page

    def fresh(self, **how: Any) -> Page:
        """A page that has shown nothing yet."""
        context = self.browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **how})
        context.set_default_timeout(1000 * DEADLINE)
        self._contexts.append(context)
        page: Page = context.new_page()
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.faults.append(f"raised: {error}"))
        page.on("request", self._asked)
        page.on("response", lambda answer: self.answers.append(answer))
        return page

    def close(self) -> None:
        """Close all pages."""
        for each in self._contexts:
            each.close()
        self._contexts.clear()

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_OF_THE_NETWORK):
            self.faults.append(f"{message.type}: {message.text}")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.server.url, "data:")):
            self.faults.append(f"asked: {request.url}")


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A Chromium without windows, for the time of the block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield running
        running.close()


def sign_in(page: Page, token: str) -> None:
    """Give the token, and wait until the page is live and the owner has answered."""
    from playwright.sync_api import expect

    page.get_by_label("Token", exact=True).fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.locator("p.live.live").wait_for(state="attached")
    expect(page).to_have_title(re.compile("·"))


def visit(page: Page, view: str) -> None:
    """Go to another view, by its link."""
    page.get_by_role("navigation", name="Views").get_by_role("link", name=view, exact=False).click()
    page.locator(f"main.view-{view.lower()} #heading").wait_for(state="attached")


def fleet_state() -> Any:
    """What `confcast fleet status --json` says of a rollout to three of five hosts."""
    old, new = "a" * 64, "b" * 64
    rings = ("ring=canary",)
    rollout, why = Rollout(("100%",), rings=rings), "another index"
    head = Head(old, new, rings=rings, salt="s", rev=3, at=1.8e9, by="deploy", why=why, rollout=rollout)
    said = [("good", ""), ("applied", ""), ("refused", "no index of this name")]
    canary = {"ring": "canary"}
    hosts = [Report(f"h{at}", new, "s", said[at][0], f"shop-{at}", canary, said[at][1]) for at in range(3)]
    hosts += [Report(f"h{at}", old, "r", "good", f"shop-{at}") for at in (3, 4)]
    found = status.report("bookshop", encode(head), [Stored(reports.encode(each), 1.0) for each in hosts]).data
    return json.loads(as_json(found))
