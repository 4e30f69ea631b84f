"""The class of a gunicorn worker determines the middleware that pins; integration tests run real workers."""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from confcast import Replica, SchemaMismatch
from confcast.middleware import asgi, wsgi
from confcast.servers.common.lifespan import Lifespan
from confcast.servers.gunicorn import worker as gunicorn_worker
from confcast.servers.gunicorn.worker import attach, pin, renew_at_hup
from tests.support.certificates import Authority, context_of, handshake
from tests.support.number import Settings
from tests.support.waiting import eventually


def of(module: str, **attributes: Any) -> Any:
    """An object whose class comes from that module."""
    made = type("Made", (), {"__module__": module})()
    vars(made).update(attributes)
    return made


def app() -> None:
    """Not called."""


@pytest.mark.parametrize(
    ("module", "interface", "kind"),
    [
        ("gunicorn.workers.sync", "", wsgi.Pin),
        ("uvicorn_worker._workers", "auto", asgi.Pin),
        ("uvicorn.workers", "asgi3", asgi.Pin),
        ("uvicorn_worker._workers", "wsgi", wsgi.Pin),
    ],
)
def test_the_middleware_is_of_the_kind_that_the_worker_serves(module: str, interface: str, kind: type):
    worker = of(module, wsgi=app, config=SimpleNamespace(interface=interface))
    pin(worker, [Replica(Settings, name="kinds")])

    assert type(worker.wsgi) is kind
    served = worker.wsgi.app
    assert (served.app if type(served) is Lifespan else served) is app


def test_a_tornado_application_is_left_as_it_is_and_that_is_said(caplog: pytest.LogCaptureFixture):
    application = of("tornado.web")
    worker = of("gunicorn.workers.gtornado", wsgi=application, log=logging.getLogger("tornado test"))

    pin(worker, [Replica(Settings, name="kinds")])

    assert worker.wsgi is application
    assert "the requests of a tornado application are not pinned" in caplog.text


@pytest.mark.parametrize("module", ["gunicorn.workers.base", "meinheld.gmeinheld"])
def test_what_is_not_known_is_left_as_it_is_and_that_is_said(module: str, caplog: pytest.LogCaptureFixture):
    worker = of(module, wsgi=app, log=logging.getLogger("unknown class"))

    pin(worker, [Replica(Settings, name="kinds")])

    assert worker.wsgi is app
    assert "the requests of the worker class Made are not pinned" in caplog.text


def test_a_worker_of_another_schema_says_which_command_reloads_the_server(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    def refused() -> None:
        raise SchemaMismatch("color: str here, absent there; reload the server fully")

    monkeypatch.setattr(gunicorn_worker, "declared", lambda: (of("replica", name="app", attach=refused),))
    monkeypatch.setattr(gunicorn_worker, "_RESPAWN_PAUSE", 0.0)
    with pytest.raises(SystemExit) as ended:
        attach(of("worker", log=logging.getLogger("another schema")), "app", 4711)

    assert ended.value.code == 1
    (said,) = caplog.messages
    assert said.endswith("color: str here, absent there; reload the server fully: kill -RTMIN 4711")


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> dict[int, Any]:
    """The handlers of signals that are set meanwhile."""
    found: dict[int, Any] = {}
    monkeypatch.setattr(gunicorn_worker.signal, "signal", found.__setitem__)
    return found


def secure(module: str, authority: Authority) -> Any:
    cfg = SimpleNamespace(is_ssl=True, certfile=authority.certfile, keyfile=authority.keyfile, ca_certs=None)
    cfg.ssl_context, cfg.set = lambda conf, default: default(), lambda name, value: setattr(cfg, name, value)
    config = SimpleNamespace(interface="asgi3", ssl_context_factory=None)
    return of(module, cfg=cfg, config=config, wsgi=app, ppid=7, log=logging.getLogger("tls test"))


@pytest.mark.parametrize("module", ["gunicorn.workers.ggevent", "uvicorn_worker._workers"])
def test_a_hup_renews_the_context_that_a_worker_makes(module: str, tmp_path: Path, handlers: dict[int, Any]):
    authority = Authority(tmp_path)
    worker = secure(module, authority)
    renew_at_hup(worker)
    make = worker.config.ssl_context_factory or worker.cfg.ssl_context
    context = make(None, lambda: context_of(authority))
    authority.issue("second")

    handlers[signal.SIGHUP](signal.SIGHUP, None)

    eventually(lambda: handshake(context) == "second", "the renewed certificate")


def test_a_worker_that_makes_its_contexts_in_its_own_way_says_what_a_renewed_certificate_takes(
    tmp_path: Path, handlers: dict[int, Any], caplog: pytest.LogCaptureFixture
):
    authority = Authority(tmp_path)
    renew_at_hup(secure("aiohttp.worker", authority))
    authority.issue("second")

    handlers[signal.SIGHUP](signal.SIGHUP, None)

    eventually(lambda: caplog.messages, "a word")
    assert caplog.messages == [
        "confcast: this kind of worker keeps its TLS certificate: a renewed one takes kill -RTMIN 7"
    ]


def test_a_worker_that_makes_a_context_for_each_connection_needs_no_hup(tmp_path: Path, handlers: dict[int, Any]):
    renew_at_hup(secure("gunicorn.workers.sync", Authority(tmp_path)))
    assert handlers == {}
