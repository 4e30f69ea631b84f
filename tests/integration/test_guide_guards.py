"""The guide's page on guards: its loader in a real owner with a worker, and its unit tests, run as they are written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.snippets import GUIDE, files, snippets

PAGE = GUIDE / "guards.md"
_DEADLINE = 60

HARNESS = """\
from pathlib import Path
from confcast import ConfigReloadManager, ReloadResult

FILE = Path("app.toml")
FULL = "".join(f'n{n} = "10.0.0.{n}"\\n' for n in range(12))
FLAGS = "[flags]\\nfast = true\\n"
FILE.write_text(f"{FLAGS}[upstreams]\\n{FULL}")

def refused(event, *keys):
    assert (event.result, bool(event)) == (ReloadResult.GUARDED, False), event
    assert [problem.key for problem in event.problems] == list(keys), event.problems
    return event.problems[0].message

if __name__ == "__main__":
    from settings import settings
    from sources import loader
    with ConfigReloadManager(loader, watch=False, state_dir="state") as manager:
        settings.attach()
        few = f'{FLAGS}[upstreams]\\nn0 = "10.0.0.0"'
        FILE.write_text(few)
        message = refused(manager.reload(), "upstreams", "").replace(" --allow changes", "")
        print("upstreams: " + message.replace("; if", ";\\nif"))
        tried = manager.check()
        refused(tried, "upstreams", "")
        assert tried.dry_run and len(manager.get_event_history()) == 2
        refused(manager.set({"database": {"url": "postgresql://db"}}), "upstreams", "database", "")
        wrong = manager.reload(allow=["shrinks:upstream"])
        assert wrong.result is ReloadResult.VALIDATION_FAILED, wrong
        assert "did you mean shrinks:upstreams?" in wrong.problems[0].message
        assert len(settings.latest.upstreams) == 12
        event = manager.reload(allow=["shrinks:upstreams", "changes"], reason="the old site is gone")
        assert event and len(event.notes) == 2, event
        assert list(settings.latest.upstreams) == ["n0"]
        assert manager.rollback(version=1) and len(settings.latest.upstreams) == 12
        assert manager.resume(), "that content ran before"
        FILE.write_text("release = 0")
        assert "empties:flags" in refused(manager.reload(), "flags", "")
        assert manager.reload(force=True, reason="all is new")
        FILE.write_text("release = -1")
        assert refused(manager.reload(), "").startswith("the release goes back (guard only-up)")
        settings.close()
    FILE.write_text("release = -2")
    with ConfigReloadManager(loader, watch=False, state_dir="state") as manager:
        started = manager.get_event_history(1)[0]
        assert started.notes == ["the release goes back (guard only-up): a reload would be refused"], started
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {**files(PAGE), "harness.py": HARNESS}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=_DEADLINE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_loader_refuses_and_allows_as_the_page_says(folder: Path) -> None:
    (shown,) = (each.text for each in snippets(PAGE) if not each.language)
    assert run(folder, "harness.py") == shown


def test_its_unit_tests_pass(folder: Path) -> None:
    assert "3 passed" in run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_guards.py")
