"""An owner's standard output and error follow the log file that they are, when that is rotated."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from confcast.owner.log_file import follow
from tests.support.forking import holds_in_child
from tests.support.leaks import descriptors


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
