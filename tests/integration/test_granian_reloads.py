"""granian: what HUP and SIGRTMIN do. Its workers serve TLS in Rust, and take a certificate when they start only."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.granian import Server
from tests.support.reloads import Reloads, Secure

LOGS = {
    "formatters": {"plain": {"format": "%(process)d %(message)s"}, "generic": {"format": "%(message)s"}},
    "handlers": {
        "requests": {"class": "logging.FileHandler", "filename": "requests.log", "formatter": "plain"},
        "console": {"class": "logging.StreamHandler", "formatter": "generic"},
    },
    "loggers": {
        "_granian": {"handlers": ["console"], "level": "INFO", "propagate": False},
        "granian.access": {"handlers": ["requests"], "level": "INFO", "propagate": False},
    },
}


class TestGranianReloads(Reloads):
    kind = Server
    arguments = (
        *("--ssl-certificate", "cert.pem", "--ssl-keyfile", "key.pem"),
        *("--access-log", "--log-config", "logs.json", "--respawn-interval", "0.5"),
    )

    @classmethod
    def prepare(cls, folder: Path) -> None:
        (folder / "logs.json").write_text(json.dumps(LOGS))

    def test_a_hup_alone_renews_the_certificate_and_replaces_no_worker(self, secure: Secure):
        """It can't: it says once what does it. The base class's full reload shows that it does."""
        server, serving = secure.server, secure.certificates()
        said = f"a worker of granian can't take it while it serves: new workers do, by kill -RTMIN {server.pid}"
        before = server.log().count(said)
        secure.authority.issue("renewed")
        for _ in range(2):
            secure.rotate()

        assert secure.certificates() == serving
        assert server.log().count(said) == before + 1

    def test_a_renewed_key_of_another_kind_is_served_as_any_other(self, secure: Secure):
        """It takes a full reload, as any other."""
        server, serving = secure.server, secure.certificates()
        secure.authority.issue("of another kind", "RSA")
        secure.rotate()

        server.await_log(
            f"a worker of granian can't take it while it serves: new workers do, by kill -RTMIN {server.pid}"
        )
        assert secure.certificates() == serving
