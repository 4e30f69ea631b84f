"""Takes the pictures: `python -m benchmarks.pictures [FOLDER]`; without a folder, into the guide."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.admin_page import AdminServer, Pages, browser, chromium, visit
from tests.support.programs import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Page

_GUIDE = ROOT / "src" / "confcast" / "guide" / "admin"
_PLACE = Path(tempfile.gettempdir()) / "bookshop"  # the page shows it
_WIDE, _PHONE = {"width": 1280, "height": 880}, {"width": 390, "height": 844}
_LARGEST = 150 * 1024


@contextmanager
def shop() -> Iterator[str]:
    """A shop with a history; the address of its owner.

    Its folder and its command are in the pictures: so both are those of no machine.
    """
    _PLACE.mkdir()
    program = _PLACE / "shop.py"
    try:
        program.write_text("from benchmarks.pictures.shop import main\n\nif __name__ == '__main__':\n    main()\n")
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        started = subprocess.Popen(
            ["python", "shop.py"],  # found by PATH, so that this is what is shown
            cwd=_PLACE,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with started:
            assert started.stdout is not None
            if not (address := started.stdout.readline().strip()):
                raise SystemExit("the shop did not start; standard error says why")
            yield address
            started.communicate(timeout=60)
    finally:
        program.unlink()
        _PLACE.rmdir()


def take(pages: Pages, folder: Path) -> None:
    """All pictures."""
    light = {"color_scheme": "light", "timezone_id": "UTC", "viewport": _WIDE}
    page = pages.open("overview", **light)
    save(page, folder / "overview.png")
    page.goto(page.url.replace("#overview", "#values?key=limits.api"))
    page.locator(".explain .facts").wait_for()
    save(page, folder / "values.png")
    visit(page, "Change")
    page.get_by_label("Key", exact=True).fill("search.boost_new")
    page.get_by_label("Value", exact=True).fill("2.5")
    page.get_by_role("button", name="Try it").click()
    page.get_by_label("Why").fill("the book fair")
    save(page, folder / "change.png")
    dark = {"color_scheme": "dark", "timezone_id": "UTC"}
    page = pages.open("timeline", viewport=_WIDE, **dark)
    page.locator(".event.bad .event-line").first.click()
    save(page, folder / "timeline.png")
    save(pages.open("overview", viewport=_PHONE, **dark), folder / "phone.png")


def save(page: Page, path: Path) -> None:
    """What is in sight, once it is drawn, and nothing glides any more."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished))")
    page.evaluate("document.activeElement.blur()")
    size = len(page.screenshot(path=path))
    if size > _LARGEST:
        raise SystemExit(f"{path.name} has {size // 1024} KiB, more than {_LARGEST // 1024}")
    print(f"{path.name}: {size // 1024} KiB")


def main() -> None:
    """Take them all."""
    if chromium() is None:
        raise SystemExit("there is no Chromium, or no playwright: scripts/install-chromium")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else _GUIDE
    folder.mkdir(exist_ok=True)
    with shop() as address, tempfile.TemporaryDirectory() as place, browser() as running:
        server = AdminServer(Path(place), "--address", address).start()
        pages = Pages(running, server)
        try:
            take(pages, folder)
        finally:
            pages.close()
            server.close()
    if pages.faults:
        raise SystemExit("\n".join(pages.faults))


if __name__ == "__main__":
    main()
