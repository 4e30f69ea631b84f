"""granian under confcast's launcher, with an application of its own interface, which is its default."""

from __future__ import annotations

from tests.support.embedding import Embedding
from tests.support.granian import RsgiServer


class TestGranianRsgi(Embedding):
    kind = RsgiServer
