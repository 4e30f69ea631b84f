"""A real `confcast admin`, and its page in a real Chromium, as the tests of the page and its pictures use them."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.programs import ROOT
from tests.support.waiting import DEADLINE, eventually

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


class AdminServer:
    """`confcast admin` as a process; after `kill`, `start` has it listen where it did before.

    Args:
        folder: For its tokens and what it says.
        *arguments: Of the command, beside where it listens and its tokens.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._tokens, self._log = folder / "tokens", folder / "admin.log"
        self._arguments = arguments
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> AdminServer:
        """Start it, unless it runs, and return when it listens."""
        if self._process is not None:
            return self
        bind = ["--bind", f"127.0.0.1:{self._port}", "--token-file", str(self._tokens)]
        with self._log.open("wb") as log:
            command = [sys.executable, "-m", "confcast", "admin", *bind, *self._arguments]
            self._process = subprocess.Popen(command, stderr=log, stdout=log, cwd=ROOT)
        self._port = int(eventually(self._listens, "the admin server listens"))
        return self

    def _listens(self) -> str:
        assert self._process is not None
        text = self._log.read_text()
        assert self._process.poll() is None, text
        _, found, rest = text.partition("listening on http://127.0.0.1:")
        return rest.split("\n")[0].strip("/") if found and "\n" in rest else ""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def token(self, role: str) -> str:
        """Its `read` or its `write` token."""
        lines = [line.split() for line in self._tokens.read_text().splitlines() if not line.startswith("#")]
        return next(words[2] for words in lines if words[1] == role)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End it; returns when it is gone."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(DEADLINE)
        self._process = None

    def close(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self.kill(signal.SIGTERM)


class Pages:
    """Pages of one browser, each with a memory of its own, as those of two people. Whatever a page has to say is kept.

    `faults` must be empty at a test's end: what a page has logged, raised, or asked of another host.
    """

    def __init__(self, browser: Browser, server: AdminServer) -> None:
        self._browser, self._server = browser, server
        self.faults: list[str] = []
        self.answers: list[Any] = []
        self._contexts: list[Any] = []

    def open(self, view: str = "overview", *, role: str = "write", **how: Any) -> Page:
        """A page of somebody who has signed in; `how`: as a browser's context takes it."""
        from playwright.sync_api import expect

        page = self.fresh(**how)
        page.goto(f"{self._server.url}/#{view}")
        page.get_by_label("Token", exact=True).fill(self._server.token(role))
        page.get_by_role("button", name="Sign in").click()
        page.locator("p.live.live").wait_for(state="attached")
        expect(page).to_have_title(re.compile("·"))  # the owner has answered
        return page

    def fresh(self, **how: Any) -> Page:
        """A page that has shown nothing yet."""
        context = self._browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **how})
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
        if not request.url.startswith((self._server.url, "data:")):
            self.faults.append(f"asked: {request.url}")


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A Chromium without windows, for the time of the block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield running
        running.close()


def visit(page: Page, view: str) -> None:
    """Go to another view, by its link."""
    page.get_by_role("navigation", name="Views").get_by_role("link", name=view, exact=False).click()
    page.locator("#heading").wait_for(state="attached")
