"""An owner's standard output and error follow the log file that they are, when that is rotated."""

from __future__ import annotations

import errno
import io
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from confcast.owner.log_file import StandardError, follow
from tests.support.forking import holds_in_child
from tests.support.leaks import descriptors

OWNERS = logging.getLogger("confcast.owner")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def logging_to(log: Path, act: Callable[[], None]) -> None:
    """Do it in a process whose standard output and error are this file; no descriptor more is open afterwards."""

    def run() -> bool:
        with log.open("ab") as file:
            for stream in (1, 2):
                os.dup2(file.fileno(), stream)
        before = descriptors()
        act()
        return descriptors() == before

    assert holds_in_child(run)


def say(text: str) -> None:
    for stream in (1, 2):
        os.write(stream, text.encode())


def test_a_file_that_is_in_its_place_is_kept(log: Path):
    def act() -> None:
        follow(log)
        say("a")

    logging_to(log, act)

    assert log.read_text() == "aa"


def test_a_file_that_was_renamed_is_kept_until_there_is_the_next_one(log: Path):
    old = log.with_name("log.1")

    def act() -> None:
        log.rename(old)
        follow(log)
        say("a")
        if not log.exists():
            log.write_text("by who rotates: ")
        follow(log)
        say("b")

    logging_to(log, act)

    assert old.read_text() == "aa"
    assert log.read_text() == "by who rotates: bb"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_not_written_to(log: Path, make: Callable[[Path], None]):
    old = log.with_name("log.1")

    def act() -> None:
        log.rename(old)
        make(log)
        follow(log)
        say("a")

    logging_to(log, act)

    assert old.read_text() == "aa"


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
    """What the lines of confcast's owner are written to, which are logged in this test."""
    found, handler = Disk(), StandardError("")
    handler.setStream(found)
    monkeypatch.setattr(OWNERS, "handlers", [handler])
    monkeypatch.setattr(OWNERS, "propagate", False)
    return found


SAID = "{} lines before the last one could not be written when they were logged: some may be missing"


def test_after_a_full_disk_the_log_says_how_many_lines_could_not_be_written(disk: Disk):
    """And says nothing by itself meanwhile: logging's own words about a failure go to the same disk."""
    OWNERS.error("one")
    disk.room = 0
    for _ in range(3):
        OWNERS.error("lost")
    disk.room = 1000
    OWNERS.error("two")
    OWNERS.error("three")

    assert disk.getvalue().splitlines() == ["one", "two", SAID.format(3), "three"]


def test_lines_that_can_not_be_told_of_are_told_of_later(disk: Disk):
    disk.room = 0
    OWNERS.error("lost")
    disk.room = 1
    OWNERS.error("one")
    disk.room = 1000
    OWNERS.error("two")

    assert disk.getvalue().splitlines() == ["one", "two", SAID.format(2)]


def test_it_is_told_by_a_python_that_drops_what_is_logged_while_a_line_is(disk: Disk, monkeypatch: pytest.MonkeyPatch):
    """As that of 3.13.5 does."""
    handling: list[logging.LogRecord] = []
    handle, is_enabled_for = OWNERS.handle, OWNERS.isEnabledFor

    def handle_alone(record: logging.LogRecord) -> None:
        handling.append(record)
        handle(record)
        handling.pop()

    monkeypatch.setattr(OWNERS, "handle", handle_alone)
    monkeypatch.setattr(OWNERS, "isEnabledFor", lambda level: not handling and is_enabled_for(level))
    disk.room = 0
    OWNERS.error("lost")
    disk.room = 1000
    OWNERS.error("one")

    assert disk.getvalue().splitlines() == ["one", SAID.format(1)]


def test_an_owner_that_logs_errors_alone_does_not_tell_of_them(disk: Disk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(OWNERS, "level", logging.ERROR)
    disk.room = 0
    OWNERS.error("lost")
    disk.room = 1000
    OWNERS.error("one")

    assert disk.getvalue().splitlines() == ["one"]


def test_a_line_that_can_not_be_made_is_told_as_logging_does(capsys: pytest.CaptureFixture[str]):
    StandardError("").handle(logging.makeLogRecord({"msg": "%d", "args": ("no number",)}))
    assert "--- Logging error ---" in capsys.readouterr().err
