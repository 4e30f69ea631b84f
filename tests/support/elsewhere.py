"""A worker with code of its own: a program that finds the schema's module in another folder than the owner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_ATTACH = """
import json, sys
from confcast import Replica, SchemaMismatch
from deployed import Settings

replica = Replica(Settings, name="app")
try:
    replica.attach(sys.argv[1], timeout=30)
except SchemaMismatch as error:
    print(json.dumps([str(error), error.fields]))
else:
    print(json.dumps([replica.version, replica.latest.number]))
    replica.close()
"""


def deploy(folder: Path, text: str) -> Path:
    """Make this folder, with a `deployed.py` of this text in it."""
    folder.mkdir()
    (folder / "deployed.py").write_text(text)
    return folder


def attach_elsewhere(folder: Path, address: str) -> Any:
    """What a worker says whose `deployed.py` is the one in this folder: version and number, or text and fields."""
    run = subprocess.run(
        [sys.executable, "-c", _ATTACH, address],
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)
