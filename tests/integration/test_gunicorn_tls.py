"""gunicorn with TLS: a certificate that was renewed in place is served after a HUP, by the same workers."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gunicorn_tls import Tls
from tests.support.server import servers_of
from tests.support.slow import slow

ABOVE = """
workers = 2
certfile, keyfile = "cert.pem", "key.pem"
worker_class = {!r}
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Tls]]:
    with servers_of(Tls, tmp_path) as make:

        def start(worker_class: str, more: str = "") -> Any:
            ready = "def post_worker_init(worker): print('USER ready', worker.pid, flush=True)\n"
            server = make(above=ABOVE.format(worker_class) + ready + more)
            if worker_class not in ("sync", "gthread", "gevent"):
                (server.folder / "app.py").rename(server.folder / "wsgi_app.py")
                asgi = (
                    (server.folder / "asgi_app.py").read_text().replace("import app as wsgi", "import wsgi_app as wsgi")
                )
                (server.folder / "app.py").write_text(asgi)
            server.renew()
            return server.start()

        yield start


@pytest.mark.parametrize(
    "worker_class",
    [
        slow("gevent"),
        "uvicorn_worker.UvicornWorker",
        slow("asgi"),
    ],
)
def test_a_renewed_certificate_is_served_after_a_hup_by_the_same_workers(start: Callable[..., Tls], worker_class: str):
    server = start(worker_class)
    old = (server.folder / "cert.pem").read_text()
    assert server.certificates() == {old}

    for renewed in (1, 2):
        new = server.renew()
        server.signal(signal.SIGHUP)
        server.await_log("new connections get the renewed TLS certificate", 2 * renewed)
        assert server.certificates() == {new}

    (server.folder / "key.pem").write_text("half")
    server.signal(signal.SIGHUP)
    server.await_log("the TLS certificate stays as it is: SSLError", 2)
    assert server.certificates() == {new}
    assert server.log().count("Booting worker") == 2


@pytest.mark.slow
@pytest.mark.parametrize("worker_class", ["sync", "gthread"])
def test_these_serve_it_at_once(start: Callable[..., Tls], worker_class: str):
    server = start(worker_class)
    assert server.certificates() == {(server.folder / "cert.pem").read_text()}

    new = server.renew()

    assert server.certificates() == {new}
    assert server.log().count("Booting worker") == 2
