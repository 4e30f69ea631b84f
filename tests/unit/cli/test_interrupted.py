"""Ctrl-C while a command is imported: one line and the exit code of an interrupted program, and no traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest

_INTERRUPTED_AT = """
import signal, sys
module = sys.argv.pop(1)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
from confcast.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("module", ["program", "commands", "check"])
def test_ctrl_c_while_something_is_imported(module: str):
    script = [sys.executable, "-c", _INTERRUPTED_AT, f"confcast.cli.{module}", "check", "--loader", "app:loader"]
    done = subprocess.run(script, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "confcast: interrupted\n")
