"""hypercorn: what HUP and SIGRTMIN do."""

from __future__ import annotations

from tests.support.hypercorn import Server
from tests.support.reloads import Reloads


class TestHypercornReloads(Reloads):
    kind = Server
    password = "open sesame"
    arguments = (
        *("--certfile", "cert.pem", "--keyfile", "key.pem", "--keyfile-password", password),
        *("--access-logfile", "requests.log"),
    )
