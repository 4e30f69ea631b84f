"""Programs that end within their deadline, whatever they do, and what is kept of what they say; with real programs."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from confcast.wire import programs
from confcast.wire.programs import Ended, NotStarted, end_all, run
from tests.support.lives import lives_in
from tests.support.waiting import eventually, in_thread

LONG = 60.0
MOST = 1000


def python(program: str, seconds: float = LONG, *, merged: bool = False, most: int = MOST) -> Ended:
    return run([sys.executable, "-c", program], time.monotonic() + seconds, most, merged=merged)


def shell(script: str, seconds: float = LONG) -> Ended:
    return run(["/bin/sh", "-c", script], time.monotonic() + seconds, MOST)


def test_what_it_says_and_how_it_ended() -> None:
    assert shell("echo out; echo err >&2") == Ended(0, b"out\n", b"err\n")
    assert os.waitstatus_to_exitcode(shell("exit 3").status or 0) == 3
    assert os.waitstatus_to_exitcode(shell("kill -9 $$").status or 0) == -9
    assert python("import sys; print('o', flush=True); sys.exit('e')", merged=True).output == b"o\ne\n"


@pytest.mark.parametrize(
    ("name", "error"), [("no-such-program", errno.ENOENT), ("plain", errno.EACCES), ("binary", errno.ENOEXEC)]
)
def test_what_can_t_be_started_says_why(name: str, error: int, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("no program")
    (tmp_path / "binary").write_bytes(b"\x7fno program either")
    (tmp_path / "binary").chmod(0o700)
    with pytest.raises(NotStarted) as raised:
        run([str(tmp_path / name)], time.monotonic() + LONG, MOST)
    assert raised.value.errno == error


def test_one_that_ignores_term_is_killed_at_its_deadline_with_all_that_it_has_started(tmp_path: Path) -> None:
    with lives_in(tmp_path) as both:
        ended = shell(f"trap '' TERM INT HUP; exec 9>{both.path}; sleep 600 & echo began; sleep 600", 0.5)
        assert ended == Ended(None, b"began\n")
        both.await_end()


def test_the_end_of_it_is_enough_though_a_child_keeps_its_output() -> None:
    assert shell("sleep 600 & echo done") == Ended(0, b"done\n")


def test_one_that_says_too_much_is_killed_and_one_that_may_is_read_on() -> None:
    endless = "import sys\nwhile True: print('x' * 100_000)"
    ended = python(endless)
    assert (ended.status, ended.too_long) == (None, True)
    ended = python("import sys\nfor _ in range(50): print('x' * 100_000)\nsys.exit(7)", merged=True)
    assert (os.waitstatus_to_exitcode(ended.status or 0), ended.output) == (7, b"x" * MOST)


def test_output_that_is_there_when_it_ends_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(python("print('x' * 3_000_000)", most=4_000_000).output) == 3_000_001
    monkeypatch.setattr(programs, "_CHUNK", 10)  # it has ended long before it is read
    assert len(python("print('x' * 30_000)", most=4_000_000).output) == 30_001


def test_the_end_of_its_errors_is_kept() -> None:
    ended = shell("i=0; while [ $i -lt 500 ]; do echo line $i >&2; i=$((i+1)); done")
    assert len(ended.errors) == 2000
    assert ended.errors.endswith(b"line 499\n")


def test_it_has_signals_as_by_default_no_input_and_no_descriptor_of_ours(tmp_path: Path) -> None:
    """Somebody may have made a descriptor one that programs inherit."""
    shared = os.open(tmp_path / "shared", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(shared, True)
    before, mask = signal.signal(signal.SIGTERM, signal.SIG_IGN), signal.pthread_sigmask(signal.SIG_BLOCK, [1])
    try:
        program = "import os, signal; print(signal.getsignal(15), signal.pthread_sigmask(0, []), input.__name__); "
        program += f"print(os.read(0, 1)); os.fstat({shared})"
        ended = python(program)
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(shared)
    assert ended.output == b"0 set() input\nb''\n"
    assert ended.errors.endswith(b"Bad file descriptor\n")


def test_all_that_run_end_when_the_process_does() -> None:
    ended = in_thread(lambda: shell("sleep 600"))
    eventually(lambda: programs._running, "the program")
    end_all()
    assert os.waitstatus_to_exitcode(ended().status or 0) == -signal.SIGKILL
    assert not programs._running


def test_one_that_is_being_started_when_the_process_ends_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """And its start, which may hang on a disk, holds nobody."""
    spawns = os.posix_spawnp

    def late(*about: Any, **more: Any) -> int:
        pid = spawns(*about, **more)
        end_all()
        return pid

    monkeypatch.setattr(os, "posix_spawnp", late)
    assert os.waitstatus_to_exitcode(shell("sleep 600").status or 0) == -signal.SIGKILL


def test_the_end_of_all_waits_for_a_start_that_has_made_the_program_and_not_noted_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a process that ends at once afterwards leaves it behind: the thread that would kill it is gone by then."""
    spawns, made, go_on = os.posix_spawnp, threading.Event(), threading.Event()

    def slow(*about: Any, **more: Any) -> int:
        pid = spawns(*about, **more)
        made.set()
        assert go_on.wait(LONG)
        return pid

    monkeypatch.setattr(os, "posix_spawnp", slow)
    monkeypatch.setattr(programs, "_STARTS_WITHIN", LONG)
    ended, before = in_thread(lambda: shell("sleep 600")), programs._ends
    assert made.wait(LONG)
    left = in_thread(lambda: (end_all(), programs._starting)[1])
    eventually(lambda: programs._ends > before, "the begin of the end")
    go_on.set()
    assert left() == 0
    assert os.waitstatus_to_exitcode(ended().status or 0) == -signal.SIGKILL


def test_it_ends_with_a_process_whose_thread_waits_for_it(tmp_path: Path) -> None:
    with lives_in(tmp_path) as it:
        script = f"exec 9>{it.path}; touch {tmp_path}/began; sleep 600"
        program = f"""
import pathlib, threading, time
from confcast.wire.programs import run
run_it = lambda: run(["/bin/sh", "-c", {script!r}], time.monotonic() + 600, 10)
threading.Thread(target=run_it, daemon=True).start()
while not pathlib.Path({str(tmp_path / "began")!r}).exists():
    time.sleep(0.01)
"""
        subprocess.run([sys.executable, "-c", program], check=True, timeout=LONG)
        it.await_end()


def test_nobody_waits_for_an_answer_that_is_not_needed() -> None:
    assert run(["sleep", "600"], time.monotonic() + LONG, MOST, over=lambda: True).status is None
