"""granian under confcast's launcher, with an ASGI application: what every server does while it serves."""

from __future__ import annotations

from tests.support.embedding import Embedding
from tests.support.granian import Server
from tests.support.websockets import WebSockets


class TestGranian(Embedding, WebSockets):
    kind = Server
