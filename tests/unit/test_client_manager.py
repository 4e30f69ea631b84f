"""A manager that is a client only: whom it asks for a reload from a signal handler."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from confcast import ConfigLoader
from confcast.master import process_wide
from confcast.worker import registry
from tests.support.settings import SCHEMA


@pytest.mark.parametrize("listens", [True, False])
def test_a_hup_goes_to_the_owner_that_serves_the_process_now(
    listens: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After a full reload it is another one than the first."""
    asked = []

    def client(address: str, name: str) -> Any:
        asked.append((address, name))
        return SimpleNamespace(tell=lambda message: listens)

    replica = SimpleNamespace(presence=SimpleNamespace(address="/run/next/control.sock"))
    monkeypatch.setattr(process_wide, "Client", client)
    monkeypatch.setattr(registry, "attached", lambda name: replica)
    manager = process_wide._Client(ConfigLoader(SCHEMA), address="app", enable_signal_handler=False)
    manager.request_reload()
    assert asked == [], "not started"
    manager._folder, manager._pid = Path(), os.getpid()

    manager.request_reload()

    assert asked == [("/run/next/control.sock", "app")]
    assert ("the reload that was asked for is lost" in caplog.text) is not listens
