"""granian under confcast's launcher, with a WSGI application, whose requests run in threads."""

from __future__ import annotations

from tests.support.embedding import Embedding
from tests.support.granian import WsgiServer


class TestGranianWsgi(Embedding):
    kind = WsgiServer
