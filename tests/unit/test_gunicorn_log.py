"""gunicorn's error log as confcast's loggers see it."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from confcast.servers.gunicorn_log import Forward


def test_gunicorns_log_level_holds_for_what_is_passed_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    error_log = logging.getLogger("test.gunicorn.error")
    error_log.setLevel(logging.ERROR)
    monkeypatch.setattr(error_log, "handlers", [caplog.handler])
    monkeypatch.setattr(logging.root, "handlers", [])
    forward = Forward(SimpleNamespace(error_log=error_log))

    for level in (logging.WARNING, logging.ERROR):
        forward.handle(logging.makeLogRecord({"levelno": level, "msg": logging.getLevelName(level)}))

    assert caplog.messages == ["ERROR"]
