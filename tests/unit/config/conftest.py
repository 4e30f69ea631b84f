"""The folder of a test as the working directory, for sources and their messages by a relative path."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory is the test's own, and empty."""
    monkeypatch.chdir(tmp_path)
