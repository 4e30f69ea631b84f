"""Tests that take turns on one manager: only numbers begin anew with each, versions go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from confcast import ReloadEvent, ReloadResult
from tests.support.fixtures import Manager
from tests.support.settings import write


@pytest.fixture
def config(shared_manager: Manager, shared_config: Path) -> Path:
    """The shared manager's file, with the number 1 in it and everywhere."""
    write(shared_config, 1)
    assert shared_manager.reload()
    return shared_config


@pytest.fixture
def manager(shared_manager: Manager, config: Path) -> Manager:
    """The one of all tests of a file."""
    return shared_manager


@pytest.fixture
def change(manager: Manager, config: Path) -> Callable[..., ReloadEvent]:
    """Makes a number the newest, and returns when every worker has it."""

    def change(number: int, **others: Any) -> ReloadEvent:
        write(config, number, **others)
        event = manager.reload()
        assert event.result is ReloadResult.SUCCESS
        return event

    return change
