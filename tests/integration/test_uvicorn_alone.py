"""uvicorn with one worker, which it serves in its only process: there is no supervisor, and a HUP would end it."""

from __future__ import annotations

import signal

import pytest

from tests.support.embedding import Embedding, Endings, InFlight, Make
from tests.support.server import Server
from tests.support.stopping import stop
from tests.support.uvicorn import Alone


class TestUvicornAlone(Embedding):
    kind = Alone

    def test_a_hup_to_a_worker_does_nothing(self, server: Server):
        """It is the master."""
        assert server.pids() == {server.pid}

    test_a_killed_worker_is_replaced_by_one_with_the_current_version = None  # its death is the master's


class TestUvicornAloneEnds:
    kind = Alone

    def test_it_ends_after_its_owner_even_if_that_hangs(self, make: Make):
        """uvicorn raises the signal again that has stopped it, which would end this process first."""
        server = make().start()
        stop(server.owner())
        server.signal(signal.SIGTERM)

        assert server.ended() == server.stopped_by(signal.SIGTERM)
        assert server.processes() == []


@pytest.mark.slow
class TestUvicornAloneEndsToo(Endings):
    kind = Alone


@pytest.mark.slow
class TestUvicornAloneInFlight(InFlight):
    kind = Alone
