"""Whose process a pid is, by the names of folders; with owners: `test_cli.py`, `test_root.py`, `test_beside.py`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from confcast.wire import processes
from confcast.wire.files import owner_dirs
from confcast.worker.client import members

USER = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's folder")
@pytest.mark.parametrize("sign", ["master", "parent"])
@pytest.mark.parametrize("user", [0, USER])
def test_a_master_is_found_though_its_user_runs_any_number_of_others(
    sign: str, user: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner_dirs, "candidates", lambda: iter([tmp_path]))
    monkeypatch.setattr(owner_dirs, "_LISTENING", tmp_path / "none")
    monkeypatch.setattr(processes, "user_of", lambda pid: user)
    wanted, other = (os.getpid(), os.getppid()) if sign == "master" else (os.getppid(), os.getpid())
    pid = wanted if sign == "master" else _child_of(wanted, monkeypatch)

    def folder(master: int, tag: str) -> Path:
        path = tmp_path / f"confcast-{tag}-{master}-{processes.started(master)}.x"
        path.mkdir()
        os.chown(path, user, user)
        return path

    for number in range(owner_dirs.MOST):
        folder(other, f"app{number}")
    last = folder(wanted, "zeta")

    assert [each.path for each in members.owners_of(pid, None)] == [last]


def _child_of(parent: int, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(processes, "parents", lambda pid: iter([parent]))
    return 1  # it lives
