"""What granian's master does in its turns."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from confcast.servers.granian_server import Server


@pytest.mark.parametrize("ends", [True, False])
def test_a_worker_that_is_to_end_is_sent_no_hup_any_more(ends: bool) -> None:
    """Of two signals at once another thread than its main one would get the second, and it would not end."""
    turns: list[Any] = []
    master: Any = SimpleNamespace(interrupt_signal=ends, _reloading=SimpleNamespace(attend=turns.append), _pids=set)

    Server._attend(master)

    assert turns == ([] if ends else [set])
