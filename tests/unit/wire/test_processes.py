"""Deaths and identities of real processes."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from confcast.wire import processes
from confcast.wire.processes import Death, is_alive, started
from tests.support.interning import interned
from tests.support.stopping import stop


def test_a_death_is_readable_once_the_process_is_dead_though_nobody_has_reaped_it(
    child: subprocess.Popen[bytes],
) -> None:
    death = Death(child.pid)
    try:
        assert not death.wait(0)
        assert select.select([death], [], [], 0)[0] == []
        child.kill()
        assert death.wait(10)
        assert select.select([death], [], [], 0)[0] == [death]
        assert not is_alive(child.pid)  # a zombie does not live
    finally:
        death.close()


def test_a_signal_reaches_it_and_a_dead_one_is_no_error(child: subprocess.Popen[bytes]) -> None:
    death = Death(child.pid)
    death.signal(signal.SIGTERM)
    assert death.wait(10)
    assert child.wait() == -signal.SIGTERM
    death.signal(signal.SIGTERM)
    death.close()


def test_a_closed_one_says_yes_signals_nobody_and_closes_again(child: subprocess.Popen[bytes]) -> None:
    death = Death(child.pid)
    death.close()
    death.close()

    assert death.wait(0)
    death.signal(signal.SIGKILL)
    assert child.poll() is None
    assert death.fileno() == -1


def test_a_dead_one_can_t_be_listened_for(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()

    with pytest.raises(ProcessLookupError):
        Death(child.pid)


def test_a_stopped_one_lives(child: subprocess.Popen[bytes]) -> None:
    stop(child.pid)

    assert is_alive(child.pid, started(child.pid))


def test_a_recycled_pid_is_recognised_by_its_start(child: subprocess.Popen[bytes]) -> None:
    since = started(child.pid)

    assert since > started(os.getpid()) > 0
    assert is_alive(child.pid)
    assert is_alive(child.pid, since)
    assert not is_alive(child.pid, since - 1)


def test_what_is_no_process_neither_lives_nor_began() -> None:
    for pid in (0, -1, 10**20):
        assert not is_alive(pid)
    assert started(2**22 + 1) == 0  # above every kernel's pid_max


def test_who_can_t_be_looked_at_is_taken_for_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is dead is killed and swept away, so a lack of descriptors must not look like a death."""

    def none_left(pid: int) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(processes, "Death", none_left)

    assert is_alive(os.getpid())


def test_a_name_with_parentheses_and_spaces_hides_no_start(tmp_path: Any) -> None:
    program = tmp_path / "a) b (c) 1 2"
    program.symlink_to(sys.executable)
    with subprocess.Popen([program, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        assert started(process.pid) >= started(os.getpid())
        assert process.stdin is not None
        process.stdin.close()


def test_a_process_is_known_by_its_parents_its_folder_and_its_command(child: subprocess.Popen[bytes]) -> None:
    assert list(processes.parents(child.pid))[:2] == [os.getpid(), os.getppid()]
    assert processes.working_directory(child.pid) == str(Path.cwd())
    assert processes.command(child.pid) == f"{sys.executable} -c import sys; sys.stdin.read()"


def test_of_a_process_that_is_gone_nothing_is_known() -> None:
    gone = 2**22 + 1
    assert (list(processes.parents(gone)), processes.working_directory(gone), processes.command(gone)) == ([], "", "")


def test_of_the_processes_that_were_asked_about_the_interpreter_keeps_no_name(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = interned(monkeypatch)

    assert processes.command(child.pid)
    assert processes.user_of(child.pid) == os.geteuid()
    assert is_alive(child.pid, started(child.pid))
    assert processes.working_directory(child.pid)
    processes.control_groups(child.pid)

    assert kept == []
