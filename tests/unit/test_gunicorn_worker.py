"""Which middleware pins what a gunicorn worker serves, told by the worker's class; real ones run in the integration."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from confcast import Replica
from confcast.middleware import asgi, wsgi
from confcast.servers.gunicorn_worker import pin


class Settings(msgspec.Struct):
    number: int = 0


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
    assert worker.wsgi.app is app


def test_a_tornado_application_is_left_as_it_is_and_that_is_said(caplog: pytest.LogCaptureFixture):
    application = of("tornado.web")
    worker = of("gunicorn.workers.gtornado", wsgi=application, log=logging.getLogger("tornado test"))

    pin(worker, [Replica(Settings, name="kinds")])

    assert worker.wsgi is application
    assert "a tornado application's requests are not pinned" in caplog.text
