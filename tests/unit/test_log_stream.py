"""Lines that a full disk does not take are counted, and told of later."""

from __future__ import annotations

import errno
import io
import logging

import pytest

from confcast.log_stream import LogStream

LOGGER = logging.getLogger("confcast")


class Disk(io.StringIO):
    """A stream on a disk that may be full."""

    room = 1000
    """So many lines it takes."""

    def write(self, text: str) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= 1
        return super().write(text)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """What the lines of one logger are written to, and those about them."""
    found, handler = Disk(), LogStream()
    handler.setStream(found)
    monkeypatch.setattr(LOGGER, "handlers", [handler])
    monkeypatch.setattr(LOGGER, "propagate", False)
    return found


SAID = "{} lines before the last one could not be written when they were logged: some may be missing"


def test_after_a_full_disk_the_log_says_how_many_lines_could_not_be_written(disk: Disk):
    """And says nothing by itself meanwhile: logging's own words about a failure go to the same disk."""
    LOGGER.error("one")
    disk.room = 0
    for _ in range(3):
        LOGGER.error("lost")
    disk.room = 1000
    LOGGER.error("two")
    LOGGER.error("three")

    assert disk.getvalue().splitlines() == ["one", "two", SAID.format(3), "three"]


def test_lines_that_can_not_be_told_of_are_told_of_later(disk: Disk):
    disk.room = 0
    LOGGER.error("lost")
    disk.room = 1
    LOGGER.error("one")
    disk.room = 1000
    LOGGER.error("two")

    assert disk.getvalue().splitlines() == ["one", "two", SAID.format(2)]


def test_it_is_told_by_a_python_that_drops_what_is_logged_while_a_line_is(disk: Disk, monkeypatch: pytest.MonkeyPatch):
    """As that of 3.13.5 does."""
    handling: list[logging.LogRecord] = []
    handle, is_enabled_for = LOGGER.handle, LOGGER.isEnabledFor

    def handle_alone(record: logging.LogRecord) -> None:
        handling.append(record)
        handle(record)
        handling.pop()

    monkeypatch.setattr(LOGGER, "handle", handle_alone)
    monkeypatch.setattr(LOGGER, "isEnabledFor", lambda level: not handling and is_enabled_for(level))
    disk.room = 0
    LOGGER.error("lost")
    disk.room = 1000
    LOGGER.error("one")

    assert disk.getvalue().splitlines() == ["one", SAID.format(1)]


def test_a_process_that_logs_errors_alone_does_not_tell_of_them(disk: Disk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(LOGGER, "level", logging.ERROR)
    disk.room = 0
    LOGGER.error("lost")
    disk.room = 1000
    LOGGER.error("one")

    assert disk.getvalue().splitlines() == ["one"]


def test_a_line_that_can_not_be_made_is_told_as_logging_does(capsys: pytest.CaptureFixture[str]):
    LogStream().handle(logging.makeLogRecord({"msg": "%d", "args": ("no number",)}))
    assert "--- Logging error ---" in capsys.readouterr().err
