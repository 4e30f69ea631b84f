"""The environments of a session, one for each application."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.environments import Environments


@pytest.fixture(scope="session")
def environments() -> Iterator[Environments]:
    with tempfile.TemporaryDirectory(prefix="confcast-applications-") as folder:
        yield Environments(Path(folder))
