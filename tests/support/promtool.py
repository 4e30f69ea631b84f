"""promtool, Prometheus's own checker, where it is installed: scripts/install-promtool puts it beside this Python."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_BESIDE = Path(sys.executable).parent
PROMTOOL = shutil.which("promtool") or shutil.which("promtool", path=_BESIDE)

wants_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian's package prometheus)")


def promtool(*arguments: str | Path, given: bytes = b"") -> str:
    """What it says, on both outputs. Fails if it finds a fault."""
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *arguments], input=given, capture_output=True, timeout=60, check=False)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said
