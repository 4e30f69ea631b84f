"""What granian's master does in its turns."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from confcast.servers import granian_server
from confcast.servers.granian_server import Server


@pytest.mark.parametrize("ends", [True, False])
def test_a_worker_that_is_to_end_is_sent_no_hup_any_more(ends: bool) -> None:
    """Of two signals at once another thread than its main one would get the second, and it would not end."""
    turns: list[Any] = []
    master: Any = SimpleNamespace(interrupt_signal=ends, _reloading=SimpleNamespace(attend=turns.append), _pids=set)

    Server._attend(master)

    assert turns == ([] if ends else [set])


def test_a_worker_that_has_missed_its_term_is_sent_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granian_server, "_AGAIN", 0.001)
    sent: list[str] = []
    stopped = threading.Event()

    def terminate() -> None:
        sent.append("TERM")
        if len(sent) == 3:
            stopped.set()

    ended: Any = SimpleNamespace(is_alive=lambda: False, terminate=lambda: sent.append("TERM to a dead one"))
    lives: Any = SimpleNamespace(is_alive=lambda: True, terminate=terminate)
    master: Any = SimpleNamespace(wrks=[ended, lives])

    Server._end_again(master, stopped)

    assert sent == ["TERM"] * 3
