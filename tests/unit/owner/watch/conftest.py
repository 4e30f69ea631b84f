"""Benches of watchers, which are closed after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.watching import Bench


@pytest.fixture
def benches() -> Iterator[list[Bench]]:
    made: list[Bench] = []
    yield made
    for bench in made:
        bench.watcher.close()
        bench.attempts.close()
        assert not bench.watcher._thread.is_alive()
