"""What workers say to an owner that does not live: notes in a folder of theirs, for the next owner to read.

Two kinds, by their names. *left*: this process closed its replica; on the journal's roster it would be waited for as
long as it lives. *here*: this process is about to serve without an owner's answer (on the snapshot file, or on what it
held before a fork or a `close()`); unknown to the next owner, it would go on with an old version, and nobody would name
it.

A process writes its note and *then* connects once more; an owner listens and *then* reads the notes. So of two that
pass each other one is always heard: an owner that reads before the note is written is found listening. A note is taken
away by its process, once an owner has answered it, or by the owner, once what it says is in the journal.

The folder belongs to the workers' user, 0700. An owner of another user opens it without following a link, reads names
and no file, some thousands at the most, and believes a name only of a living process of a user whom it serves.

Rejected: a thread that goes on knocking (a process often closes in order to fork); an owner that gives up whom it does
not hear of (a silent process that lives may serve an old version, and must be named); waiting, at an owner's start, for
everyone to knock (one that is stopped does not knock, and an owner that was stopped is replaced at once).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from confcast.wire import processes

FOLDER = "notes"
"""Its name in the run-time folder."""

Kind = Literal["left", "here"]
Writer = tuple[int, int]
"""Who wrote a note: the pid and the start time of a process."""

_MOST = 4096
"""Names that are read of a folder: who may write in it could fill it."""
_MOST_TIMES = 64
"""So often is it read for its removal."""


def make_folder(runtime: Path, uid: int = -1, gid: int = -1) -> None:
    """Make the folder for the notes, for this user (-1: ours). Raises OSError."""
    folder = runtime / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    if uid >= 0:
        os.chown(folder, uid, gid, follow_symlinks=False)


def write(runtime: Path, kind: Kind) -> None:
    """Note that this process has left, or is here. Raises OSError."""
    (runtime / FOLDER / _name(kind)).touch(mode=0o600)


def take_back(runtime: Path, kind: Kind) -> None:
    """It is no longer so. Raises OSError, but not for a note, or a folder, that is not there."""
    (runtime / FOLDER / _name(kind)).unlink(missing_ok=True)


def read(runtime: Path, kind: Kind) -> set[Writer]:
    """Whose notes of this kind are there. Raises OSError, but not for a folder that is not there.

    To be called when the control socket listens.
    """
    prefix = f"{kind}-"
    with _opened(runtime) as fd:
        return {writer for name in _names(fd) if name.startswith(prefix) and (writer := _writer(name)) is not None}


def clear(runtime: Path, kind: Kind, *, keep: frozenset[Writer] = frozenset()) -> None:
    """Take the notes of this kind away, but for those of these writers. Raises OSError."""
    prefix = f"{kind}-"
    with _opened(runtime) as fd:
        for name in _names(fd):
            if name.startswith(prefix) and _writer(name) not in keep:
                os.unlink(name, dir_fd=fd)


def remove_folder(runtime: Path) -> None:
    """Take the folder away, and the notes in it. Raises OSError, but not for a folder that is not there."""
    with _opened(runtime) as fd:
        for _ in range(_MOST_TIMES):
            for name in (names := _names(fd)):
                os.unlink(name, dir_fd=fd)
            if not names:
                break
    if fd is not None:
        (runtime / FOLDER).rmdir()


def _name(kind: Kind) -> str:
    me = os.getpid()
    return f"{kind}-{me}-{processes.started(me)}"


def _writer(name: str) -> Writer | None:
    pid, _, since = name.partition("-")[2].partition("-")
    digits = pid.isascii() and since.isascii() and pid.isdecimal() and since.isdecimal()
    return (int(pid), int(since)) if digits and len(name) < 64 else None


@contextmanager
def _opened(runtime: Path) -> Iterator[int | None]:
    """The folder itself, and no link to another one; None when it is not there."""
    try:
        fd = os.open(runtime / FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def _names(fd: int | None) -> list[str]:
    if fd is None:
        return []
    with os.scandir(fd) as entries:
        return [entry.name for entry, _ in zip(entries, range(_MOST), strict=False)]
