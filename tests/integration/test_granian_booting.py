"""granian under confcast's launcher: what comes while its workers start."""

from __future__ import annotations

import signal

from tests.support.booting import Booting, Make, Shut, begin
from tests.support.granian import Server


class TestGranianBoots(Booting):
    kind = Server

    def test_a_stop_ends_workers_that_boot(self, make: Make, shut: Shut):
        server = make()
        begin(server, shut)

        server.signal(signal.SIGTERM)

        assert server.ended() == 0
        server.assert_nothing_left()
