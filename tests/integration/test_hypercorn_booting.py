"""hypercorn under confcast's launcher: what comes while its workers start."""

from __future__ import annotations

from tests.support.booting import Booting
from tests.support.hypercorn import Server


class TestHypercornBoots(Booting):
    kind = Server
