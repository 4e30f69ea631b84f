"""A manager that is a client only: whom it asks for a reload from a signal handler."""

from __future__ import annotations

import os
import queue
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from confcast import ConfigLoader
from confcast.master import process_wide
from confcast.worker import registry
from tests.support.settings import SCHEMA
from tests.support.waiting import DEADLINE


@pytest.mark.parametrize("listens", [True, False])
def test_a_hup_goes_to_the_owner_that_serves_the_process_now(
    listens: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After a full reload it is another one than the first."""
    asked = []

    def client(address: str, name: str) -> Any:
        asked.append((address, name))
        return SimpleNamespace(request_reload=lambda: listens)

    replica = SimpleNamespace(_provider=SimpleNamespace(address="/run/next/control.sock"))
    monkeypatch.setattr(process_wide, "AddressClient", client)
    monkeypatch.setattr(registry, "attached", lambda name: replica)
    manager = process_wide._Client(ConfigLoader(SCHEMA), address="app", enable_signal_handler=False)
    manager.request_reload()
    assert asked == [], "not started"
    manager._folder, manager._pid = Path(), os.getpid()

    manager.request_reload()
    for thread in threading.enumerate():
        if thread.name == "confcast-lost":
            thread.join(DEADLINE)

    assert asked == [("/run/next/control.sock", "app")]
    assert ("the reload that was asked for is lost" in caplog.text) is not listens


def test_a_hup_that_is_lost_is_not_logged_in_the_signal_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have come while the main thread holds the lock of a queue that is logged to."""
    logged = queue.SimpleQueue[int]()
    manager = process_wide._Client(ConfigLoader(SCHEMA), address="app", enable_signal_handler=False)
    manager._folder, manager._pid = Path(), os.getpid()
    monkeypatch.setattr(process_wide, "AddressClient", lambda *_: SimpleNamespace(request_reload=lambda: False))
    monkeypatch.setattr(process_wide._log, "warning", lambda *_: logged.put(threading.get_ident()))

    manager.request_reload()

    assert logged.get(timeout=DEADLINE) != threading.get_ident()
