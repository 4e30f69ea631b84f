"""The admin page with 5,000 keys, in a headless Chromium: its first paint, when the values stand there, and a search.

Each round has a browser's context of its own, so nothing is in a cache. The browser times it: `first-contentful-paint`,
an observer of what is inserted, and its reports of tasks that hold up the page (from 50 ms on).
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.around import Extent
from benchmarks.around.running import KEYS, Admin, admin, write_keys
from benchmarks.rows import Row, against_limit, against_peer
from benchmarks.server import PATIENCE, _stderr_to

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from confcast import ConfigReloadManager

_PAINT, _TASK = 300.0, 100.0
_ROW = ".grid-body [role=row]"
_WATCHED = f"""
sessionStorage.setItem("confcast-token", %s);
window.measured = {{ tasks: [0] }};
new PerformanceObserver((list) => {{
  for (const each of list.getEntries()) measured.tasks.push(each.duration);
}}).observe({{ type: "longtask", buffered: true }});
new MutationObserver((_, observer) => {{
  if (!document.querySelector("{_ROW}")) return;
  observer.disconnect();
  requestAnimationFrame(() => requestAnimationFrame(() => {{ measured.shown = performance.now(); }}));
}}).observe(document, {{ childList: true, subtree: true }});
"""
_FOUND = """() => ({
  paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
  shown: measured.shown,
})"""


def measure(extent: Extent) -> list[Row]:
    """The medians over the rounds. A task's time is what passes, so on a busy machine one of many is long."""
    if not (program := shutil.which("chromium")):
        print("there is no chromium: the page's rows are left out", file=sys.stderr)
        return []
    from playwright.sync_api import sync_playwright

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="confcast-bench-")))
        server = stack.enter_context(with_keys(folder))
        ours = stack.enter_context(admin(server.address, folder))
        driver = stack.enter_context(sync_playwright())
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        stack.callback(browser.close)
        rounds = [_of_one(browser, ours) for _ in range(extent.rounds + 1)][1:]  # the first one fills the disk's cache
    paint, shown, task = ([each[name] for each in rounds] for name in ("paint", "shown", "task"))
    who = f"the admin page with {KEYS} keys"
    return [
        against_limit(f"{who}, first paint (ms)", median(paint), _PAINT),
        against_peer(f"{who}, until the values are shown (ms)", median(shown), None),
        against_limit(f"{who}, longest task of a search and of scrolling (ms, 0: below 50)", median(task), _TASK),
        against_peer(f"{who}, the same, the longest of all rounds (ms)", max(task), None),
    ]


def _of_one(browser: Browser, ours: Admin) -> dict[str, float]:
    """Open the page, search, and scroll."""
    context = browser.new_context(bypass_csp=True)  # which forbids what the driver waits by
    try:
        page = context.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.add_init_script(_WATCHED.replace("%s", repr(ours.token)))
        page.goto(f"{ours.url}/#values")
        page.wait_for_function("measured.shown")
        found: dict[str, Any] = page.evaluate(_FOUND)
        page.evaluate("measured.tasks = [0]")
        page.locator("#search").press_sequentially("shop-0999.weight", delay=20)
        page.wait_for_function(f"document.querySelectorAll('{_ROW}').length === 1")
        page.locator("#search").fill("")
        page.wait_for_function(f"document.querySelectorAll('{_ROW}').length > 10")
        for _ in range(20):
            page.locator("#values-grid").press("PageDown")
        page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        return {**found, "task": page.evaluate("Math.max(...measured.tasks)")}
    finally:
        context.close()


@contextmanager
def with_keys(folder: Path) -> Iterator[ConfigReloadManager[Any]]:
    """A manager with 5,000 keys and no worker."""
    from confcast import ConfigLoader, ConfigReloadManager

    folder.mkdir(exist_ok=True)
    loader: ConfigLoader[Any] = ConfigLoader(write_keys(folder), folder / "config.toml")
    sys.path.insert(0, str(folder))
    try:
        with _stderr_to(folder / "owner.log"), ConfigReloadManager(loader, name="bench-keys", watch=False) as made:
            yield made
    finally:
        sys.path.remove(str(folder))
