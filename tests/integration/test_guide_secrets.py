"""The guide's page on secrets: its loader under a manager, whose changes and problem are those that the page shows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.snippets import GUIDE, files, snippets

PAGE = GUIDE / "secrets.md"
_DEADLINE = 60

HARNESS = """\
from pathlib import Path
from confcast import ConfigReloadManager

FILE, KEY = Path("app.toml"), Path("licence.key")
KEY.write_text("winter24")

if __name__ == "__main__":
    from settings import settings
    from sources import loader
    with ConfigReloadManager(loader, watch=False) as manager:
        settings.attach()
        before = FILE.read_text()
        FILE.write_text(before.replace("winter24", "summer25").replace("queue", "queue-2"))
        KEY.write_text("summer25")
        event = manager.reload()
        assert event
        for change in event.changes:
            print(f"{change.key}: {change.old!r} -> {change.new!r}")
        assert settings.latest.licence == settings.latest.token == "summer25"
        FILE.write_text(before.replace("postgresql:", "postgresql"))
        for problem in manager.reload().problems:
            print(str(problem).replace(" (got", "\\n  (got"))
        settings.close()
"""


def test_its_loader_shows_what_the_page_shows(tmp_path: Path) -> None:
    for name, text in {**files(PAGE), "harness.py": HARNESS}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "harness.py"], cwd=tmp_path, capture_output=True, text=True, timeout=_DEADLINE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (shown,) = (each.text for each in snippets(PAGE) if not each.language)
    assert done.stdout == shown
    assert "winter24" not in done.stderr
    assert "summer25" not in done.stderr
