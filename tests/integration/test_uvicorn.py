"""uvicorn with two workers: what every server does that has a config owner, while it serves."""

from __future__ import annotations

from tests.support.embedding import Embedding
from tests.support.uvicorn import Server


class TestUvicorn(Embedding):
    kind = Server
