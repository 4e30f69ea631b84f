"""Launching: what becomes of an owner that is dead."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from confcast.master.start.launch import Launcher, _reap
from confcast.wire.options import Options
from confcast.wire.processes import Death
from tests.support.waiting import DEADLINE


def test_a_dead_owner_s_pid_that_another_child_has_by_now_is_left_alone() -> None:
    """A prefork master reaps every child that it finds dead, and the next worker may get the number."""
    owner = subprocess.Popen([sys.executable, "-c", ""])
    with contextlib.closing(Death(owner.pid)) as dead:
        owner.wait()
        worker = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])
        with contextlib.closing(Death(worker.pid)) as end:
            assert end.wait(DEADLINE)
        dead.pid = worker.pid

        _reap(dead)

    assert worker.wait() == 7


def test_a_dead_owner_leaves_no_zombie() -> None:
    owner = subprocess.Popen([sys.executable, "-c", ""])
    with contextlib.closing(Death(owner.pid)) as dead:
        assert dead.wait(DEADLINE)

        _reap(dead)
        _reap(dead)

    with pytest.raises(ChildProcessError):
        os.waitpid(owner.pid, os.WNOHANG)
    assert owner.wait() == 0  # what Popen says when somebody else has reaped it


def test_an_owner_that_has_no_channel_leaves_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> Any:
        raise OSError(24, "Too many open files")

    (reader, writer), startup = os.pipe(), SimpleNamespace(options=Options())
    launcher = Launcher(startup, None, lambda: writer, str)  # type: ignore[arg-type]
    monkeypatch.setattr(socket, "socketpair", none_left)
    before = len(list(Path("/dev/fd").iterdir()))

    with pytest.raises(OSError, match="Too many open files"):
        launcher.start()

    assert len(list(Path("/dev/fd").iterdir())) == before
    os.close(reader)
    os.close(writer)
