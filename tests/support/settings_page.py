"""The example with the settings page, as its command runs it, and browsers before it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from pathlib import Path
from typing import NamedTuple

from confcast.wire.listener import SOCKET
from confcast.worker.client.connection_per_call import AddressClient
from tests.support.leaks import is_running
from tests.support.waiting import DEADLINE, eventually

WORKERS = 3
PATIENCE = "6"
"""Seconds in which a worker answers, on a busy machine, too. The default is for one that is not."""
STARTS_WITHIN = 40.0
_COMMAND = (sys.executable, "-m", "confcast.examples.settings_page")


class Page(NamedTuple):
    """One answer.

    Attributes:
        status: Of HTTP.
        text: Its source.
        fields: The value of each input that a browser sends, by name.
        title: What the outcome's heading says; empty without one.
        problems: The text beside each input, by its name.
        boxes: The boxes that may be ticked; a browser sends those that are.
        checked: Those that are ticked.
        url: Below the server's, where it was found.
    """

    status: int
    text: str
    fields: dict[str, str]
    title: str
    problems: dict[str, str]
    boxes: set[str]
    checked: set[str]
    url: str


class Browser:
    """One person's: it keeps cookies, and runs no script. Each request has a connection of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.cookies = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def ask(self, path: str, fields: dict[str, str] | None = None, **headers: str) -> Page:
        data = None if fields is None else urllib.parse.urlencode(fields).encode()
        request = urllib.request.Request(self.url + path, data, headers)
        try:
            with self._opener.open(request, timeout=DEADLINE + 20) as answer:
                return _page(answer.status, answer.read().decode(), answer.url.removeprefix(self.url))
        except urllib.error.HTTPError as error:
            with error:
                return _page(error.code, error.read().decode(), path)

    def sign_in(self, token: str) -> Page:
        return self.ask("/sign-in", {"token": token})

    def save(self, page: Page | None = None, **changes: str) -> Page:
        """Type this into the form, a page's or that of what runs, and save it. `__` is a dot in a field's name."""
        seen = page or self.ask("/settings")
        typed = {key.replace("__", "."): text for key, text in changes.items()}
        assert {*typed} <= {*seen.fields, *seen.boxes, "give_back"}, seen.text
        return self.ask("/settings", seen.fields | typed)


class Shop:
    """One run of the command.

    Args:
        folder: Its files.
        environment: For its processes.

    Attributes:
        url: Of its present life.
        first: The browser of somebody who signed in before its last start; None for nobody.
    """

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.runtime = Path(tempfile.mkdtemp(prefix="cc-"))
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.first: Browser | None = None

    def start(self) -> Shop:
        """Run it, and return when it says where it is."""
        before = len(self.said())
        marks = {"CONFCAST_RUNTIME_DIR": str(self.runtime), "GUNICORN_CMD_ARGS": "", "SHOP_PATIENCE": PATIENCE}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_COMMAND, "--port", "0", "--folder", str(self.folder)],
                env=os.environ | self._environment | marks,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        eventually(
            lambda: "Ctrl-C ends it" in self.said()[before:] or not self._lives(), "its first words", STARTS_WITHIN
        )
        found = re.search(r"The shop: (\S+)/\n", self.said()[before:])
        assert found, self.said()
        self.url = found[1]
        eventually(lambda: len(self.client().workers()) == WORKERS, "all workers")
        return self

    def stop(self) -> int:
        """As Ctrl-C does; its exit status. Nothing of it is left."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        status = self._process.wait(DEADLINE)
        assert self.processes() == []
        assert list(self.runtime.iterdir()) == []
        return status

    def end(self) -> None:
        """However it is: afterwards it is gone."""
        try:
            if self._lives():
                self.stop()
        finally:
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)
            if self._process is not None:
                self._process.wait(DEADLINE)
            shutil.rmtree(self.runtime, ignore_errors=True)

    def browser(self, name: str = "") -> Browser:
        """Nobody's, or that of an administrator who is signed in."""
        browser = Browser(self.url)
        if name:
            assert browser.sign_in(self.token(name)).status == 200
        return browser

    def token(self, name: str) -> str:
        return (self.folder / "secrets" / f"administrators__{name}").read_text()

    def answers(self) -> dict[int, tuple[int, str]]:
        """What each worker answers a customer who asks now: its version and greeting, by pid."""
        found: dict[int, tuple[int, str]] = {}

        def all_have_answered() -> bool:  # at once: of requests one by one, the same worker might take each
            with ThreadPoolExecutor(6) as customers:
                for text in customers.map(lambda _: self._as_a_customer(), range(6)):
                    version, pid = re.findall(r"version (\d+), worker (\d+)", text)[0]
                    answer = int(version), re.findall(r"<h1>(.*)</h1>", text)[0]
                    assert found.setdefault(int(pid), answer) == answer
            return len(found) == WORKERS

        eventually(all_have_answered, "an answer of each worker")
        return found

    def _as_a_customer(self) -> str:
        with urllib.request.urlopen(self.url, timeout=DEADLINE) as answer:
            return str(answer.read(), "utf-8")

    def client(self) -> AddressClient:
        """Its owner's."""
        (address,) = eventually(lambda: list(self.runtime.glob(f"*/{SOCKET}")), "a control socket")
        return AddressClient(str(address), "shop")

    def said(self) -> str:
        """All that its processes have written."""
        return self._log.read_text() if self._log.exists() else ""

    def processes(self) -> list[int]:
        """Those that live, but for the command itself."""
        mark = f"CONFCAST_RUNTIME_DIR={self.runtime}".encode()
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        own = self._process.pid if self._process is not None else 0
        return [pid for pid in pids if pid != own and is_running(pid) and mark in _environment_of(pid)]

    @property
    def _log(self) -> Path:
        return self.folder.with_suffix(".log")

    def _lives(self) -> bool:
        return self._process is not None and self._process.poll() is None


def _environment_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.title, self.problems = "", dict[str, str]()
        self.boxes, self.checked = set[str](), set[str]()
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "input" and found.get("type") == "checkbox":
            self.boxes.add(found["name"])
            self.checked |= {found["name"]} if "checked" in found else set()
        if tag == "input" and ("checked" in found or found.get("type") != "checkbox"):
            self.fields[found["name"]] = found.get("value", "")
        self._inside = found.get("id", "") if tag in ("h2", "p") else ""

    def handle_data(self, data: str) -> None:
        if self._inside == "outcome":
            self.title += data
        elif self._inside.endswith("-problem"):
            self.problems[self._inside.removesuffix("-problem")] = data

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def _page(status: int, text: str, url: str) -> Page:
    reader = _Reader()
    reader.feed(text)
    return Page(status, text, reader.fields, reader.title, reader.problems, reader.boxes, reader.checked, url)
