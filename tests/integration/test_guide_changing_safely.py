"""The guide's page "Changing safely": its programs and commands are run under a manager, as the page says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support import programs
from tests.support.snippets import GUIDE, commands, files

PAGE = GUIDE / "changing_safely.md"
_DEADLINE = 60

HARNESS = """\
import subprocess, sys
from pathlib import Path
from confcast import ConfigLoader, ConfigReloadManager, ReloadResult
from tests.support.waiting import eventually

FILE = Path("app.toml")
SCRIPT = str(Path(sys.executable).with_name("confcast"))

def typed(line):
    program, *words = line.split()
    assert program == "confcast"
    done = subprocess.run([SCRIPT, *words, "--pid", str(manager.owner_pid)], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout

def health(manager):
    from settings import settings
    FILE.write_text('templates = "nowhere"')
    event = manager.reload()
    event = manager.wait() if event else event  # a worker may have said it before all had applied the version
    assert event.result is ReloadResult.UNDONE, event
    assert "finds_its_templates" in event.evidence[0], event
    assert settings.current.templates == Path()
    assert manager.reload().result is ReloadResult.REJECTED  # it is refused until it changes

def entities(manager):
    from greeting import greeting
    FILE.write_text('greeting = "moin"')
    lines = LINES
    tried, waits = lines[4:]
    status, told = typed(tried)
    assert status == 6 and "is on trial for 50% of the entities" in told, (status, told)
    names = [f"customer {n}" for n in range(64)]
    eventually(lambda: "moin" in map(greeting, names), "the trial's beginning, when all workers have the version")
    first = [greeting(name) for name in names]
    assert {"hi", "moin"} == set(first) and first == [greeting(name) for name in names]
    assert typed(waits)[0] == 3
    assert typed(lines[1])[0] == 0
    assert typed(lines[2])[0] == 0 and {greeting(name) for name in names} == {"moin"}
    assert typed(lines[3])[0] == 0 and {greeting(name) for name in names} == {"hi"}
    assert typed(lines[0])[0] == 1  # held

if __name__ == "__main__":
    FILE.write_text('greeting = "hi"')
    LINES = sys.argv[2:]
    with ConfigReloadManager(ConfigLoader("settings:Settings", FILE), watch=False) as manager:
        from settings import settings
        settings.attach()
        globals()[sys.argv[1]](manager)
        settings.close()
"""


def run(folder: Path, *arguments: str) -> None:
    for name, text in {**files(PAGE), "harness.py": HARNESS}.items():
        (folder / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "harness.py", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_DEADLINE,
        check=False,
        env=os.environ | {"PYTHONPATH": str(programs.ROOT)},
    )
    assert done.returncode == 0, done.stderr


def test_a_version_with_which_a_health_check_says_no_is_undone(tmp_path: Path) -> None:
    run(tmp_path, "health")


def test_a_trial_for_some_users_gives_each_one_version(tmp_path: Path) -> None:
    run(tmp_path, "entities", *commands(PAGE))
