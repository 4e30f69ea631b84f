"""What an owner writes before it serves reaches the right place: all of it, once, and without standing still."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from confcast.master.start.execute import nameless_file
from confcast.master.start.startup_output import StartupOutput
from confcast.owner.log_file import CapturedOutput
from confcast.wire import captured_output
from confcast.wire.captured_output import copy_on
from tests.support.forking import holds_in_child
from tests.support.waiting import DEADLINE


@pytest.fixture
def file() -> Iterator[int]:
    descriptor = nameless_file("test")
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Its reading and its writing end."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def text_in(file: int) -> bytes:
    return os.pread(file, os.fstat(file).st_size, 0)


def test_a_nameless_file_is_one_too_where_the_system_has_none_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    descriptor = nameless_file("test")
    try:
        assert os.fstat(descriptor).st_nlink == 0
        assert not os.get_inheritable(descriptor)
        os.write(descriptor, b"text")
        assert text_in(descriptor) == b"text"
    finally:
        os.close(descriptor)


def test_more_than_a_pipe_takes_is_copied_as_fast_as_it_is_read(file: int, pipe: tuple[int, int]) -> None:
    text = os.urandom(300_000)
    os.write(file, text)
    received: list[bytes] = []

    def read() -> None:
        while sum(map(len, received)) < len(text):
            received.append(os.read(pipe[0], 1000))

    reader = threading.Thread(target=read)
    reader.start()
    assert copy_on(file, pipe[1]) == len(text)
    reader.join(DEADLINE)
    assert b"".join(received) == text


def test_nobody_waits_for_ever_for_a_reader_that_does_not_read(
    file: int, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captured_output, "_ROOM_TIMEOUT", 0.01)
    os.write(file, b"x" * 2_000_000)
    with pytest.raises(TimeoutError, match="nobody reads it"):
        copy_on(file, pipe[1])


def in_an_owner(file: int, destination: int, act: Callable[[CapturedOutput], None]) -> None:
    """Do it in a process whose standard streams are the file."""

    def run() -> bool:
        for stream in (1, 2):
            os.dup2(file, stream)
        act(CapturedOutput(file, destination))
        return True

    assert holds_in_child(run)


def test_once_an_owner_serves_its_streams_are_the_right_ones_and_what_it_wrote_before_stands_there(
    file: int, tmp_path: Path
) -> None:
    def act(captured: CapturedOutput) -> None:
        os.write(1, b"printed\n")
        os.write(2, b"logged\n")
        captured.release()
        captured.release()
        os.write(2, b"served\n")
        os.write(1, b"printed again\n")

    with (tmp_path / "log").open("ab") as log:
        in_an_owner(file, log.fileno(), act)

    assert (tmp_path / "log").read_text() == "printed\nlogged\nserved\nprinted again\n"
    assert text_in(file) == b""


def test_a_stream_that_the_user_s_code_has_moved_stays_where_it_is(file: int, tmp_path: Path) -> None:
    def act(captured: CapturedOutput) -> None:
        os.write(2, b"before\n")
        with (tmp_path / "moved").open("ab") as moved:
            os.dup2(moved.fileno(), 2)
        captured.release()
        os.write(2, b"after\n")

    with (tmp_path / "log").open("ab") as log:
        in_an_owner(file, log.fileno(), act)

    assert (tmp_path / "log").read_text() == "before\n"
    assert (tmp_path / "moved").read_text() == "after\n"


def test_a_reader_that_is_gone_is_no_reason_not_to_serve(file: int) -> None:
    gone, destination = os.pipe()
    os.close(gone)

    def act(captured: CapturedOutput) -> None:
        os.write(2, b"before\n")
        captured.release()
        with pytest.raises(BrokenPipeError):
            os.write(2, b"after\n")

    in_an_owner(file, destination, act)
    os.close(destination)


def test_what_a_dead_owner_has_not_copied_on_its_master_copies_once(pipe: tuple[int, int]) -> None:
    output = StartupOutput(lambda: pipe[1], first=True)
    os.write(output.streams, b"a\n\nb\x1b[2J\n")
    assert output.last_lines() == "a\nb\\x1b[2J"
    output.close()
    output.close()
    assert os.read(pipe[0], 100) == b"a\n\nb\x1b[2J\n"


def test_a_forked_child_copies_nothing(pipe: tuple[int, int]) -> None:
    output = StartupOutput(lambda: pipe[1], first=True)
    os.write(output.streams, b"once\n")

    def forget() -> bool:
        output.forget()
        output.close()
        return output.passed == ()

    assert holds_in_child(forget)
    output.close()
    assert os.read(pipe[0], 100) == b"once\n"


def test_later_owners_and_log_files_are_written_at_once(pipe: tuple[int, int], tmp_path: Path) -> None:
    later = StartupOutput(lambda: pipe[1], first=False)
    assert (later.streams, later.passed, later.last_lines()) == (pipe[1], (), None)
    with (tmp_path / "log").open("ab", buffering=0) as log:
        log.write(b"older\n")
        read_back = StartupOutput(log.fileno, first=True)
        assert (read_back.streams, read_back.passed) == (log.fileno(), ())
        log.write(b"newer\n")
        assert read_back.last_lines() == "newer"
        read_back.close()
