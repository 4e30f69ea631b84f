"""What the tests of surroundings share: the environments of a session, and a room that must be left empty."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.environments import Environments
from tests.support.surroundings import Room


@pytest.fixture(scope="session")
def environments() -> Iterator[Environments]:
    """One for each tool; all are gone when the session is over. Servers may run as another user."""
    with tempfile.TemporaryDirectory(prefix="confcast-tools-") as folder:
        Path(folder).chmod(0o755)
        yield Environments(Path(folder))


@pytest.fixture
def room(request: pytest.FixtureRequest, environments: Environments) -> Iterator[Room]:
    """For the test that `tool` has marked; afterwards nothing of it runs. Not in tmp_path: that is this user's only."""
    with tempfile.TemporaryDirectory(prefix="confcast-room-") as folder:
        Path(folder).chmod(0o755)
        room = Room(Path(folder), environments.get(*request.function.requirements))
        yield room
        room.end()
