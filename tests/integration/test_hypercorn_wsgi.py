"""hypercorn under confcast's launcher, with a WSGI application, whose requests run in threads."""

from __future__ import annotations

import pytest

from tests.support.embedding import Embedding, OtherInterface
from tests.support.hypercorn import WsgiServer


class TestHypercornWsgi(OtherInterface):
    kind = WsgiServer


@pytest.mark.slow
class TestHypercornWsgiToo(Embedding):
    kind = WsgiServer
    test_a_killed_worker_is_replaced_by_one_with_the_current_version = None  # it stops the server, as with ASGI
