"""granian under confcast's launcher, with a WSGI application, whose requests run in threads."""

from __future__ import annotations

import pytest

from tests.support.embedding import Embedding, OtherInterface
from tests.support.granian import WsgiServer


class TestGranianWsgi(OtherInterface):
    kind = WsgiServer


@pytest.mark.slow
class TestGranianWsgiToo(Embedding):
    kind = WsgiServer
