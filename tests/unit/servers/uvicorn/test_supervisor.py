"""uvicorn's supervisor with a config owner: a start that fails changes nothing, and a HUP at the end is harmless."""

from __future__ import annotations

import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from confcast import ConfigError
from confcast.errors import Problem
from confcast.servers.common import launching, signals
from confcast.servers.uvicorn import supervisor


class Refused(SimpleNamespace):
    """A manager whose configuration is refused."""

    def start(self) -> None:
        raise ConfigError([Problem("number", "a number is expected", "app.toml:1:10")])

    def close(self) -> None:
        """Nothing has started."""

    def request_reload(self) -> None:
        """There is no owner."""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_refused_configuration_leaves_the_socket_of_a_server_that_runs(workers: int, tmp_path: Path):
    socket = tmp_path / "socket"
    socket.touch()
    worker = launching.Worker("nowhere:Settings", "app")
    embedded: Any = SimpleNamespace(manager=Refused(), worker=worker, name="app")
    config: dict[str, Any] = {"workers": workers, "uds": str(socket), "log_config": None}

    with pytest.raises(SystemExit, match=str(launching.CONFIGURATION_REFUSED)):
        supervisor.serve("app:app", embedded, config)

    assert socket.exists()


def test_a_hup_at_the_very_end_does_not_end_the_thread_before_it_is_woken(monkeypatch: pytest.MonkeyPatch):
    """Sending a signal to a thread that has ended is undefined."""
    heeded: list[int] = []
    reloading: Any = SimpleNamespace(on_signal=heeded.append)
    reloads = supervisor.Reloads(reloading)
    send = signal.pthread_kill

    def after_another(thread: int, number: int) -> None:
        send(thread, number)
        reloads._thread.join(0.2)
        assert reloads._thread.is_alive()
        send(thread, number)

    with signals.blocked(signals.RELOADS):
        with reloads:
            monkeypatch.setattr(supervisor.signal, "pthread_kill", after_another)
        assert not reloads._thread.is_alive()
    assert heeded == []
