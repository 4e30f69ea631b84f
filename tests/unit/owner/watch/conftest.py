"""Benches of watchers, which are closed after each test, and what makes one on a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "parent" / "folder"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def make(folder: Path, benches: list[Bench]) -> Callable[..., Bench]:
    def make(path: Path | None = None, **options: Any) -> Bench:
        path = path or folder / "app.toml"
        if path.parent.exists() and not path.exists():
            path.write_bytes(b"first")
        benches.append(Bench(path, **options))
        return benches[-1]

    return make
