"""What tests of several folders share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast import Replica
from tests.support.number import Settings
from tests.support.waiting import eventually


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until it is killed. Nobody waits for it before the test's end."""
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    # Popen returns when exec closes a descriptor: the kernel notes the new command line a moment later.
    eventually(lambda: Path(f"/proc/{process.pid}/cmdline").read_bytes(), "its command line")
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def settings() -> Replica[Settings]:
    """Of one number; without an owner."""
    return Replica(Settings, name="unit")


@pytest.fixture
def fake(settings: Replica[Settings]) -> Iterator[Any]:
    """Sets the number; it is 1."""
    with settings.override(Settings(1)) as fake:
        yield fake
