"""hypercorn under confcast's launcher: how it begins, and how it ends."""

from __future__ import annotations

import os
import signal

import pytest

from tests.support.embedding import Endings, InFlight, Make
from tests.support.hypercorn import Server


class TestHypercornEnds:
    kind = Server

    def test_the_death_of_a_worker_ends_all_with_status_1(self, make: Make):
        server = make().start()
        victim, _ = server.pids()
        os.kill(victim, signal.SIGKILL)

        assert server.ended() == 1
        server.assert_nothing_left()
        assert server.crashes() == []


@pytest.mark.slow  # as uvicorn and granian, which by default have these tests
class TestHypercornEndsToo(Endings):
    kind = Server


@pytest.mark.slow
class TestHypercornInFlight(InFlight):
    kind = Server
