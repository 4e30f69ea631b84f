"""uvicorn with two workers: how it begins, and how it ends."""

from __future__ import annotations

from tests.support.embedding import Endings, InFlight
from tests.support.uvicorn import Server


class TestUvicorn(Endings):
    kind = Server


class TestUvicornInFlight(InFlight):
    kind = Server
