"""hypercorn under confcast's launcher, with an ASGI application: what every server does while it serves."""

from __future__ import annotations

from tests.support.embedding import Embedding
from tests.support.hypercorn import Server
from tests.support.websockets import WebSockets


class TestHypercorn(Embedding, WebSockets):
    kind = Server
    test_a_killed_worker_is_replaced_by_one_with_the_current_version = (
        None  # test_hypercorn_endings.py has what it does
    )
