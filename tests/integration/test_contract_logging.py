"""p05 of the contract as it was written, and `confcast.logging` in its place: what can't be applied is undone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_DEADLINE = 60
CONTRACT = Path(__file__).parents[1] / "typing" / "contract"

APP = """\
project = "x"
[logging]
version = 1
disable_existing_loggers = false
handlers.file = { class = "logging.FileHandler", filename = "FOLDER/log" }
loggers.shop = { level = "INFO", handlers = ["file"] }
"""

HARNESS = """\
import logging, sys
from pathlib import Path
from confcast import ConfigLoader, ConfigReloadManager, ReloadResult
import confcast.logging

APP = Path("app.toml").read_text()

def change(text):
    Path("app.toml").write_text(text)
    return settings.reload(wait_observers=10)

if __name__ == "__main__":
    with ConfigReloadManager(ConfigLoader("c:Settings", "app.toml"), watch=False, probation=600.0):
        from c import settings
        settings.attach()
        if sys.argv[1] == "ours":
            confcast.logging.follow(settings, lambda c: c.logging)
        else:
            import p05_logging
        logging.getLogger("shop").info("version 1")
        assert change(APP.replace("INFO", "WARNING"))
        logging.getLogger("shop").info("not any more")
        change(APP.replace("./log", "nowhere/log"))
        undone = settings.wait(3, timeout=30)
        assert undone.result is ReloadResult.UNDONE, undone
        print(undone.evidence)
        if sys.argv[1] == "ours":
            refused = change(APP.replace("INFO", "LOUD"))
            assert refused.result is ReloadResult.REJECTED, refused
            print(refused.error_message)
        settings.close()
    print(Path("log").read_text())
"""


@pytest.mark.parametrize("program", ["p05", "ours"])
def test_logging_follows_and_what_fails_is_undone(program: str, tmp_path: Path) -> None:
    shutil.copytree(CONTRACT, tmp_path, dirs_exist_ok=True)
    (tmp_path / "harness.py").write_text(HARNESS, encoding="utf-8")
    (tmp_path / "app.toml").write_text(APP.replace("FOLDER", "."), encoding="utf-8")
    (tmp_path / "ca.pem").write_text("an authority", encoding="utf-8")
    command = [sys.executable, "harness.py", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=_DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    assert "logging: Unable to configure handler 'file'" in done.stdout
    assert done.stdout.rstrip().endswith("version 1")
    if program == "ours":
        assert "logging.loggers.shop.level: " in done.stdout
        assert "there is no level 'LOUD'" in done.stdout
