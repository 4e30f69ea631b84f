"""Log files that were moved away are opened anew in the process that writes them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast.servers.common import log_files


@pytest.fixture
def handler(tmp_path: Path) -> Iterator[logging.FileHandler]:
    made = logging.FileHandler(tmp_path / "log", mode="w")
    yield made
    made.close()


def write(handler: logging.Handler, text: str) -> None:
    handler.handle(logging.LogRecord("name", logging.INFO, __file__, 1, text, None, None))


def test_a_file_that_was_moved_gets_no_more_lines(handler: logging.FileHandler, tmp_path: Path) -> None:
    write(handler, "one")
    (tmp_path / "log").rename(tmp_path / "log.1")
    old: Any = handler.stream

    assert log_files.reopen() == []
    write(handler, "two")

    assert ((tmp_path / "log.1").read_text(), (tmp_path / "log").read_text()) == ("one\n", "two\n")
    assert old.closed


def test_a_file_that_another_has_taken_the_place_of_goes_on_in_that(
    handler: logging.FileHandler, tmp_path: Path
) -> None:
    (tmp_path / "log").unlink()
    (tmp_path / "log").touch()

    log_files.reopen()
    write(handler, "two")

    assert (tmp_path / "log").read_text() == "two\n"


def test_a_file_that_was_not_moved_is_not_truncated(handler: logging.FileHandler, tmp_path: Path) -> None:
    write(handler, "one")

    log_files.reopen()
    write(handler, "two")

    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_a_file_that_can_not_be_opened_is_said_and_the_old_one_goes_on(
    handler: logging.FileHandler, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    (tmp_path / "log").rename(moved)
    (tmp_path / "log").mkdir()

    (words,) = log_files.reopen()
    write(handler, "on")

    assert words.startswith(f"{tmp_path}/log can't be opened anew: Is a directory")
    assert moved.read_text() == "on\n"


def test_what_is_closed_or_was_never_opened_stays_so(tmp_path: Path) -> None:
    waiting = logging.FileHandler(tmp_path / "waiting", delay=True)
    closed = logging.FileHandler(tmp_path / "closed")
    closed.close()
    (tmp_path / "closed").unlink()

    assert log_files.reopen() == []

    assert list(tmp_path.iterdir()) == []
    waiting.close()
