"""confcast's loggers write into gunicorn's error log."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from confcast.servers.common.signals import restored
from confcast.servers.gunicorn import dirty_workers
from confcast.servers.gunicorn.log import Forward
from confcast.servers.gunicorn.worker import take_signals


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


class Log:
    """gunicorn's logger object, which closes each file before it opens the file anew."""

    def __init__(self, path: Path, said: list[str]) -> None:
        self.handler = logging.FileHandler(path)
        self.error_log = logging.getLogger("test.gunicorn.reopened")
        self.error_log.handlers = [self.handler]
        self._said = said

    def reopen_files(self) -> None:
        self.handler.close()
        self.handler.stream = self.handler._open()

    def error(self, words: str, *args: object, **_: object) -> None:
        self._said.append(words % args)


@pytest.fixture
def said() -> Iterator[list[str]]:
    yield []
    logging.getLogger("test.gunicorn.reopened").handlers = []


def worker_of(log: Log) -> None:
    take_signals(SimpleNamespace(log=log, init_signals=print))


def dirty_worker_of(log: Log) -> None:
    pytest.importorskip("gunicorn")
    from gunicorn.dirty.worker import DirtyWorker  # type: ignore[import-untyped]

    with pytest.MonkeyPatch.context() as kept:
        kept.setattr(DirtyWorker, "init_signals", DirtyWorker.init_signals)
        dirty_workers.take_signals(SimpleNamespace(log=log, init_signals=print, workers={}))


@pytest.mark.parametrize("prepare", [worker_of, dirty_worker_of])
def test_in_a_worker_a_log_that_can_t_be_opened_anew_goes_on_in_the_old_file(
    prepare: Callable[[Log], None], tmp_path: Path, said: list[str]
) -> None:
    (tmp_path / "logs").mkdir()
    log = Log(tmp_path / "logs" / "error.log", said)
    signals = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
    with restored(signals):
        prepare(log)
    before = log.handler.stream
    (tmp_path / "logs").rename(tmp_path / "moved")

    log.reopen_files()

    assert before is not None
    assert log.handler.stream is before
    assert not before.closed
    assert len(said) == 1
    assert said[0].startswith("confcast: the log files stay as they are: ")
    (tmp_path / "logs").mkdir()
    log.reopen_files()
    assert (tmp_path / "logs" / "error.log").exists()
    log.handler.close()


def test_a_worker_that_boots_opens_its_logs_anew_and_does_nothing_else(tmp_path: Path, said: list[str]) -> None:
    """gevent's would begin a greenlet, perhaps in the midst of its patching: the server stopped at that, at any HUP."""

    def begin_a_greenlet(number: int, frame: object) -> None:
        raise ImportError("gevent is half imported")

    log = Log(tmp_path / "error.log", said)
    with restored((signal.SIGTERM, signal.SIGQUIT, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)):
        take_signals(SimpleNamespace(log=log, init_signals=print, handle_usr1=begin_a_greenlet))
        (tmp_path / "error.log").rename(tmp_path / "rotated.log")
        signal.raise_signal(signal.SIGUSR1)
    assert (tmp_path / "error.log").exists()
    log.handler.close()
