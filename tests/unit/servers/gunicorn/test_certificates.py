"""A renewal replaces a worker's contexts, or does nothing before there is one; integration tests use real files."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from confcast.servers.gunicorn.certificates import _Renewal, _UvicornContexts


class Made:
    """The contexts of a worker that has none yet."""

    def __init__(self, *contexts: ssl.SSLContext) -> None:
        self.contexts = list(contexts)
        self.fresh: list[ssl.SSLContext] = []

    def serving(self) -> list[ssl.SSLContext]:
        return self.contexts

    def make(self) -> ssl.SSLContext:
        self.fresh.append(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        return self.fresh[-1]


def renewal(made: Any, module: str, folder: Path) -> _Renewal:
    certificate = folder / "cert.pem"
    certificate.write_text("one")
    worker: Any = type("Made", (), {"__module__": module})()
    worker.wsgi, worker.log = None, logging.getLogger("certificates")
    worker.cfg = SimpleNamespace(certfile=str(certificate), keyfile=None, ca_certs=None)
    return _Renewal(worker, made, "takes kill -RTMIN 7")


def test_a_worker_that_is_about_to_make_its_context_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    made = Made()
    renewed = renewal(made, "gunicorn.workers.ggevent", tmp_path)
    (tmp_path / "cert.pem").write_text("two, and longer")

    renewed._renew()

    assert (made.fresh, caplog.messages) == ([], [])
    made.contexts = [ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)]
    renewed._renew()
    assert len(made.fresh) == 1


def test_a_worker_of_an_unknown_class_says_once_what_a_renewed_certificate_takes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    renewed = renewal(Made(), "aiohttp.worker", tmp_path)
    (tmp_path / "cert.pem").write_text("two, and longer")

    for _ in range(2):
        renewed._renew()

    assert caplog.messages == [
        "confcast: this kind of worker keeps its TLS certificate: a renewed one takes kill -RTMIN 7"
    ]


def test_files_that_are_as_they_were_make_no_context(tmp_path: Path):
    made = Made(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    renewed = renewal(made, "gunicorn.workers.ggevent", tmp_path)

    renewed._renew()
    assert made.fresh == []
    (tmp_path / "cert.pem").unlink()
    renewed._renew()

    assert len(made.fresh) == 1
    assert made.contexts[0].sni_callback is not None


def test_a_name_callback_of_the_user_s_is_the_new_context_s_own(tmp_path: Path):
    asked: list[Any] = []
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made = Made(serving)
    renewed = renewal(made, "gunicorn.workers.ggevent", tmp_path)
    make = made.make

    def with_callback() -> ssl.SSLContext:
        fresh = make()
        fresh.sni_callback = lambda connection, name, context: asked.append((connection, name, context))
        return fresh

    made.make = with_callback  # type: ignore[method-assign]
    (tmp_path / "cert.pem").unlink()
    renewed._renew()
    connection = SimpleNamespace(context=serving)

    assert serving.sni_callback is not None
    serving.sni_callback(connection, "localhost", serving)  # type: ignore[arg-type]

    assert connection.context is made.fresh[0]
    assert asked == [(connection, "localhost", made.fresh[0])]


def as_now(
    certfile: Any,
    keyfile: Any,
    password: Any,
    ssl_version: Any,
    cert_reqs: Any,
    ca_certs: Any,
    ciphers: Any,
    alpn_protocols: list[str] | None = None,
) -> Any:
    return alpn_protocols


def as_once(
    certfile: Any, keyfile: Any, password: Any, ssl_version: Any, cert_reqs: Any, ca_certs: Any, ciphers: Any
) -> Any:
    return "made"


@pytest.mark.parametrize(
    ("create", "protocol", "made"),
    [
        (as_now, SimpleNamespace(alpn_protocols=["h2", "http/1.1"]), ["h2", "http/1.1"]),
        (as_now, SimpleNamespace(), None),
        (as_once, SimpleNamespace(), "made"),
    ],
)
@pytest.mark.parametrize("factory", [None, lambda config, default: default()])
def test_a_renewed_context_of_uvicorn_s_offers_the_protocols_that_the_first_one_did(
    create: Any, protocol: Any, made: Any, factory: Any, monkeypatch: pytest.MonkeyPatch
):
    config = pytest.importorskip("uvicorn.config")
    monkeypatch.setattr(config, "create_ssl_context", create)
    names = ("certfile", "keyfile", "keyfile_password", "version", "cert_reqs", "ca_certs", "ciphers")
    options = dict.fromkeys([f"ssl_{name}" for name in names])

    context: Any = _UvicornContexts(
        SimpleNamespace(**options, ssl_context_factory=factory, http_protocol_class=protocol)
    ).make()

    assert context == made
