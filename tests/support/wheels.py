"""The wheel of this tree, as whoever installs it gets it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.programs import ROOT

_WITHIN = 280.0


def built(folder: Path) -> Path:
    """Build it there; what builds it is installed first, which may take minutes."""
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".venv*", ".git", "__pycache__", ".*_cache"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, timeout=_WITHIN, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel
