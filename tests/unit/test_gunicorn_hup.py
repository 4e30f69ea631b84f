"""What gunicorn's master does around its signals, as far as no gunicorn is needed."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from confcast.servers import signals
from confcast.servers.gunicorn_hup import HELD, _give_to_workers, hearing

OTHERS = 4711


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """Inode, user and group of each file that is given away: nobody but root may do it in fact."""
    calls: list[tuple[int, int, int]] = []

    def note(file: str | int, uid: int, gid: int) -> None:
        calls.append((os.stat(file).st_ino, uid, gid))  # noqa: PTH116 - it may be a descriptor

    for name in ("chown", "fchown"):
        monkeypatch.setattr(os, name, note)
    return calls


def give(path: Path) -> None:
    handler = logging.FileHandler(path)
    cfg = SimpleNamespace(uid=OTHERS, gid=OTHERS)
    log = SimpleNamespace(
        error_log=SimpleNamespace(handlers=[handler]), access_log=SimpleNamespace(handlers=[logging.StreamHandler()])
    )
    try:
        _give_to_workers(SimpleNamespace(cfg=cfg, log=log))
    finally:
        handler.close()


def test_a_new_log_file_is_given_to_the_workers_user(tmp_path: Path, given: list[tuple[int, int, int]]):
    give(tmp_path / "error.log")

    assert given == [((tmp_path / "error.log").stat().st_ino, OTHERS, OTHERS)]


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_file_that_was_linked_there_is_given_to_nobody(
    link: object, tmp_path: Path, given: list[tuple[int, int, int]]
):
    (tmp_path / "shadow").write_text("secret")
    assert callable(link)
    link(tmp_path / "shadow", tmp_path / "error.log")

    give(tmp_path / "error.log")

    assert given == []


def test_a_file_of_another_user_s_is_given_to_nobody(
    tmp_path: Path, given: list[tuple[int, int, int]], monkeypatch: pytest.MonkeyPatch
):
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)

    give(tmp_path / "error.log")

    assert given == []


def test_a_program_that_a_pre_fork_starts_hears_every_signal():
    def pre_fork(server: object, worker: object) -> None:
        ask = "import signal; print(*signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
        heard.append(subprocess.run([sys.executable, "-c", ask], capture_output=True, check=True).stdout.strip())

    heard: list[bytes] = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with signals.held(HELD):
        hearing(pre_fork)(None, None)
        held = signal.pthread_sigmask(signal.SIG_BLOCK, ())

    assert heard == [b""]
    assert held == before | HELD
