"""Whose deaths the owner's loop notices, also when it is short of descriptors."""

from __future__ import annotations

import errno
import os
import subprocess
from typing import Any

import pytest

from confcast.owner.loop import exit_watch as module
from tests.support.exits import Exits


def test_a_death_is_told_once(exits: Exits, child: subprocess.Popen[bytes]) -> None:
    assert exits.await_end(child.pid)
    assert exits.await_end(child.pid)
    exits.turn(0)
    assert exits.told == []
    child.kill()
    exits.turn()
    exits.turn(0)
    assert len(exits.told) == 1


def test_a_dead_one_is_reported_at_once(exits: Exits, child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    assert exits.await_end(child.pid)
    assert len(exits.told) == 1


def test_a_forgotten_one_is_not_reported(exits: Exits, child: subprocess.Popen[bytes]) -> None:
    exits.await_end(child.pid)
    exits.watch.forget(child.pid)
    exits.watch.forget(child.pid)
    child.kill()
    exits.turn(0)
    assert exits.told == []


def test_one_that_can_t_be_watched_for_now_is_not_dead_and_is_watched_later(
    exits: Exits,
    child: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def none_left(pid: int) -> Any:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(module, "Death", none_left)
    assert not exits.await_end(child.pid)
    assert not exits.watch.try_again()
    assert exits.told == []
    assert caplog.text.count("can't be watched for now") == 1  # it is tried each second

    monkeypatch.undo()
    assert exits.watch.try_again()
    child.kill()
    exits.turn()
    assert len(exits.told) == 1
