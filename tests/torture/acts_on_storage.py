"""What the nemesis does to files of confcast's own: the journal is torn, and files are deleted under a living owner.

A torn journal is what a machine leaves that died in the middle of a write, or a disk that failed: so it is done while
no owner lives. The master is stopped meanwhile, since it would start the next owner between the death and the tear.
What is promised then is less: the version that was committed last stays, by the snapshot file, and no number comes
again; history, totals, holds, overrides and windows are lost. Each tear is recorded, so that the checker knows. Nothing
is promised where journal and snapshot file are both gone: so of the two one is left alone while the other is missing,
and for some seconds after it was torn or removed, in which the next owner makes it anew.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from tests.support.stopping import stop
from tests.torture.acts_on_processes import ActsOnProcesses
from tests.torture.history import Recorder, now
from tests.torture.options import NO

JOURNAL, AHEAD, LOG, SNAPSHOT = "journal", "journal-ahead", "journal-wal", "snapshot"
_BYTES = 7
_APART = 8.0
"""Seconds in which an owner begins, and has written again what it has lost."""


class ActsOnStorage:
    """The acts, as methods with the plan's names.

    Args:
        runtime: Where the owner's folder is.
        state: The state folder.
        processes: Stops and kills whom these acts need dead.
        recorder: Where the acts are recorded.
    """

    def __init__(self, runtime: Path, state: Path, processes: ActsOnProcesses, recorder: Recorder) -> None:
        self._runtime, self._state, self._processes, self._recorder = runtime, state, processes, recorder
        self._no = state.with_name(NO)
        self._hurt = {JOURNAL: -_APART, SNAPSHOT: -_APART}

    def tear_journal(self, role: str, rank: int, *, how: str) -> None:
        """Between two owners."""
        master = self._processes.find("master")
        with self._processes.recorded("tear_journal", role, self._processes.find(role), how=how):
            if master == 0:  # to the system, a whole group
                raise ProcessLookupError
            try:
                stop(master)
                self._processes.kill_surely(role)
                self._may_hurt(JOURNAL, while_there_is=SNAPSHOT)
                _TEARS[how](self._state)
            finally:
                os.kill(master, signal.SIGCONT)

    def remove_files(self, *, which: str) -> None:
        """Under a living owner: the journal, the snapshot file, or the whole folder with the control socket."""
        with self._processes.recorded("remove_files", "owner", self._processes.find("owner"), which=which):
            self._may_hurt(*((JOURNAL, SNAPSHOT) if which == "journal" else (SNAPSHOT, JOURNAL)))
            if which == "journal":
                _delete(self._state)
            for path in self._runtime.glob(f"*/{SNAPSHOT}") if which == "snapshot" else ():
                path.unlink()
            for path in list(self._runtime.glob("*/")) if which == "folder" else ():
                shutil.rmtree(path)

    # ---- what the owner asks

    def probe_says_no(self, *, pair: int) -> None:
        """From now on."""
        with self._processes.recorded("probe_says_no", "", 0):
            self._no.touch()

    def probe_says_yes(self, *, pair: int) -> None:
        """Again."""
        with self._processes.recorded("probe_says_yes", "", 0):
            self._no.unlink()

    def mend(self) -> None:
        """The probe says yes."""
        self._no.unlink(missing_ok=True)

    def _may_hurt(self, this: str, while_there_is: str) -> None:
        """Note that it is torn or removed now. Raises FileNotFoundError unless the other one has been there a while."""
        there = [*self._runtime.glob(f"*/{SNAPSHOT}")] if while_there_is == SNAPSHOT else [self._state / JOURNAL]
        if not all(path.exists() for path in there or [self._state / "none"]):
            raise FileNotFoundError(while_there_is)
        if now() < self._hurt[while_there_is] + _APART:
            raise FileNotFoundError(f"{while_there_is}, made anew")
        self._hurt[this] = now()


def _cut(path: Path, size: int) -> None:
    os.truncate(path, size)


def _cut_ahead(state: Path) -> None:
    """The last entry of what SQLite has not taken in lacks its end; there may be none."""
    if (state / AHEAD).exists():
        _cut(state / AHEAD, max(0, (state / AHEAD).stat().st_size - _BYTES))


def _cut_log(state: Path) -> None:
    """Of SQLite's own log; an owner that has just begun may have none."""
    path = state / LOG if (state / LOG).exists() else state / JOURNAL
    _cut(path, path.stat().st_size // 2)


def _lose_log(state: Path) -> None:
    (state / LOG).unlink(missing_ok=True)


def _garble(state: Path) -> None:
    """The first pages are whole, and one in the middle is not."""
    size = (state / JOURNAL).stat().st_size
    with (state / JOURNAL).open("r+b") as file:
        file.seek(size // 2)
        file.write(b"torn" * 128)


def _delete(state: Path) -> None:
    for path in state.glob(f"{JOURNAL}*"):
        path.unlink()


_TEARS: dict[str, Callable[[Path], None]] = {
    "cut_ahead": _cut_ahead,
    "cut_log": _cut_log,
    "lose_log": _lose_log,
    "garbage": _garble,
    "delete": _delete,
}
