"""granian under confcast's launcher: how it begins, and how it ends."""

from __future__ import annotations

import os
import signal

from tests.support.embedding import Endings, Make
from tests.support.granian import Server
from tests.support.leaks import is_running
from tests.support.stopping import stop
from tests.support.waiting import eventually


class TestGranianEnds(Endings):
    kind = Server

    def test_workers_that_a_stop_of_the_group_ends_before_the_master_are_no_failure(self, make: Make):
        server = make().start()
        workers = server.pids()

        stop(server.pid)
        os.killpg(server.pid, signal.SIGTERM)
        try:
            eventually(lambda: not any(map(is_running, workers)), "the end of both workers")
        finally:
            server.signal(signal.SIGCONT)

        assert server.ended() == 0
        server.assert_nothing_left()
