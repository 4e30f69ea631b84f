"""Signals of gunicorn's master, where no running gunicorn is needed."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from confcast.servers.common import signals
from confcast.servers.gunicorn import master_signals
from confcast.servers.gunicorn.master_signals import _give_to_workers, with_signals_unblocked
from confcast.servers.gunicorn.worker import BLOCKED

OTHERS = 4711


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """Inode, user and group of each file that is given away; only root could really do so."""
    calls: list[tuple[int, int, int]] = []

    def note(file: str | int, uid: int, gid: int) -> None:
        calls.append((os.stat(file).st_ino, uid, gid))  # noqa: PTH116 - it may be a descriptor

    for name in ("chown", "fchown"):
        monkeypatch.setattr(os, name, note)
    return calls


def give(path: Path) -> list[str]:
    """What is said of it."""
    said: list[str] = []
    handler = logging.FileHandler(path)
    cfg = SimpleNamespace(uid=OTHERS, gid=OTHERS)
    log = SimpleNamespace(
        error_log=SimpleNamespace(handlers=[handler]),
        access_log=SimpleNamespace(handlers=[logging.StreamHandler()]),
        warning=lambda words, *values, extra: said.append(words % values),
    )
    try:
        _give_to_workers(SimpleNamespace(cfg=cfg, log=log))
    finally:
        handler.close()
    return said


def test_a_new_log_file_is_given_to_the_workers_user(tmp_path: Path, given: list[tuple[int, int, int]]):
    assert give(tmp_path / "error.log") == []

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


def test_a_link_that_nobody_else_can_have_put_there_is_followed(
    tmp_path: Path, given: list[tuple[int, int, int]], monkeypatch: pytest.MonkeyPatch
):
    """Here /var/log is the administrator's, and what it leads to is the workers' own."""
    for folder in ("log", "data", "theirs"):
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(master_signals, "_is_guarded", lambda folder: folder.name != "theirs")
    (tmp_path / "log" / "error.log").symlink_to("../data/error.log")
    (tmp_path / "data" / "error.log").symlink_to(tmp_path / "theirs" / "error.log")

    assert give(tmp_path / "log" / "error.log") == []
    assert given == [((tmp_path / "theirs" / "error.log").stat().st_ino, OTHERS, OTHERS)]

    (tmp_path / "theirs" / "error.log").unlink()
    (tmp_path / "theirs" / "error.log").symlink_to(tmp_path / "shadow")
    (said,) = give(tmp_path / "log" / "error.log")
    assert said.startswith(f"confcast: {tmp_path}/theirs/error.log is a link in a folder that others than root may ")
    assert len(given) == 1


@pytest.mark.parametrize(
    ("uid", "mode", "own"),
    [(0, 0o755, True), (os.geteuid(), 0o700, True), (OTHERS, 0o755, False), (0, 0o775, False), (0, 0o1777, False)],
)
def test_which_folders_others_may_write(uid: int, mode: int, own: bool):
    assert master_signals._is_own(SimpleNamespace(st_uid=uid, st_mode=0o40000 | mode)) is own  # type: ignore[arg-type]


def test_a_folder_is_guarded_with_all_that_leads_to_it(tmp_path: Path):
    """By the tests' own folder, which is everybody's, like all in it."""
    (tmp_path / "usr").symlink_to("/usr")

    assert master_signals._is_guarded(Path("/usr"))
    assert not master_signals._is_guarded(tmp_path)
    assert not master_signals._is_guarded(tmp_path / "usr")


def test_a_file_of_another_user_s_is_given_to_nobody(
    tmp_path: Path, given: list[tuple[int, int, int]], monkeypatch: pytest.MonkeyPatch
):
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)

    give(tmp_path / "error.log")

    assert given == []


def test_a_program_that_a_pre_fork_starts_receives_every_signal():
    def pre_fork(server: object, worker: object) -> None:
        ask = "import signal; print(*signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
        received.append(subprocess.run([sys.executable, "-c", ask], capture_output=True, check=True).stdout.strip())

    received: list[bytes] = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with signals.blocked(BLOCKED):
        with_signals_unblocked(pre_fork)(None, None)
        held = signal.pthread_sigmask(signal.SIG_BLOCK, ())

    assert received == [b""]
    assert held == before | BLOCKED
