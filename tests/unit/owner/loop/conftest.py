"""An owner's loop that nobody runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.exits import Exits
from tests.support.shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def exits() -> Iterator[Exits]:
    made = Exits()
    yield made
    made.close()
