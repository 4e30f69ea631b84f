"""hypercorn under confcast's launcher: what comes while its workers start."""

from __future__ import annotations

import pytest

from tests.support.booting import Booting
from tests.support.hypercorn import Server


@pytest.mark.slow  # as granian, which by default has these tests
class TestHypercornBoots(Booting):
    kind = Server
