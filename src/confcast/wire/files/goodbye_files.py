"""Notes about workers in the runtime directory, for the next owner to read. Most are left while no owner lives.

A note is an empty file of one of three kinds. *left*: this process has closed its replica; without the note the next
owner would wait for it while it lives, since it is on the journal's roster. *here*: this process is about to serve
without an owner's answer (from the snapshot file, or from the version that it held before a fork or a `close()`);
without the note the next owner would not report that it serves an old version. *member*: the owner could not write it
into the journal, whose disk is full: a new file with nothing in it mostly takes no room. Without the note, the next
owner would answer a success while this process serves the version before.

A process writes its note and *then* connects once more; an owner listens and *then* reads the notes. So either the
owner reads the note, or the process finds the owner listening. Its process removes a note once an owner has answered;
the owner, once the journal has it.

The folder belongs to the workers' user (mode 0700). If a group may attach, its members may make files in it, and remove
their own; of those a note counts only if the user of the process that it names has made it, or, of a member, the
owner's. An owner of another user opens the folder without following a link, reads only names, some thousands at most,
and believes only names of living processes of a user that it serves.

Rejected: a thread that goes on connecting (a process often closes in order to fork); an owner that drops a process
which does not connect (it may live, serve an old version, and must be reported); waiting, at an owner's start, until
every process has connected (a stopped process does not connect, and a stopped owner is replaced at once).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from confcast.wire import processes

FOLDER = "notes"
"""The folder's name in the runtime directory."""

Kind = Literal["left", "here", "member"]
Writer = tuple[int, int]
"""The process that wrote a note: its pid and its start time."""

_MOST = 4096
"""How many names are read from a folder: any process that may write in it could fill it."""
_MOST_TIMES = 64
"""How often the folder is read again while it is being removed."""
_SHARED = 0o1730
"""The mode of a folder in which the members of a group leave notes: sticky, and not to be listed by them."""


def make_folder(runtime: Path, uid: int = -1, gid: int = -1, *, shared: bool = False) -> None:
    """Make the folder for the notes; it belongs to this uid (-1: to this process's). Raises OSError.

    `shared`: the members of the group leave notes in it.
    """
    folder = runtime / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    if uid >= 0 or shared:
        os.chown(folder, uid, gid, follow_symlinks=False)
    if shared:
        with _opened(runtime) as fd:  # not by its name: a member of the group might have put a link there
            if fd is not None:
                os.fchmod(fd, _SHARED)


def has_folder(runtime: Path) -> bool:
    """Whether there is a folder for notes."""
    return (runtime / FOLDER).is_dir()


def write(runtime: Path, kind: Kind) -> None:
    """Write a note that this process has left, or is here. Raises OSError."""
    (runtime / FOLDER / _name(kind)).touch(mode=0o600)


def write_of(runtime: Path, writer: Writer) -> None:
    """Write the owner's note that this process is a member. Raises OSError."""
    with _opened(runtime) as fd:
        if fd is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(runtime / FOLDER))
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC  # what is there may be anybody's, and a pipe
        with contextlib.suppress(FileExistsError):
            os.close(os.open(_of_member(writer), flags, 0o600, dir_fd=fd))


def remove_of(runtime: Path, writer: Writer) -> None:
    """Remove the owner's note that this process is a member, if it exists. Raises OSError."""
    with _opened(runtime) as fd, contextlib.suppress(FileNotFoundError):
        if fd is not None:
            os.unlink(_of_member(writer), dir_fd=fd)


def _of_member(writer: Writer) -> str:
    return f"member-{writer[0]}-{writer[1]}"


def take_back(runtime: Path, kind: Kind) -> None:
    """Remove this process's note, if it exists. Raises OSError."""
    (runtime / FOLDER / _name(kind)).unlink(missing_ok=True)


def read(runtime: Path, kind: Kind, *, shared: bool = False) -> set[Writer]:
    """The processes that have left notes of this kind; none if there is no folder. Raises OSError.

    Must be called after the control socket listens. `shared`: a note counts only if its file is its process's user's.
    """
    with _opened(runtime) as fd:
        found = [(name, writer) for name in _names(fd, kind) if (writer := _writer(name)) is not None]
        return {writer for name, writer in found if not shared or _counts(fd, name, writer, kind)}


def _counts(fd: int | None, name: str, writer: Writer, kind: Kind) -> bool:
    """Whether the note was made by the user of the process that it names; that of a member by the owner's user."""
    try:
        made_by = os.stat(name, dir_fd=fd, follow_symlinks=False).st_uid
    except OSError:
        return False
    return made_by == (os.geteuid() if kind == "member" else processes.user_of(writer[0]))


def clear(runtime: Path, kind: Kind, *, keep: frozenset[Writer] = frozenset()) -> None:
    """Remove the notes of this kind, but for those of the processes in `keep`. Raises OSError."""
    with _opened(runtime) as fd:
        for name in _names(fd, kind):
            if _writer(name) not in keep:
                os.unlink(name, dir_fd=fd)


def remove_folder(runtime: Path) -> None:
    """Remove the folder, if it exists, with the notes in it. Raises OSError."""
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
    """A descriptor of the folder, which must not be a link to another one; None if there is no folder."""
    try:
        fd = os.open(runtime / FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def _names(fd: int | None, kind: Kind | None = None) -> list[str]:
    """The names of the notes of this kind (None: of all) among the first `_MOST`."""
    if fd is None:
        return []
    prefix = f"{kind}-" if kind is not None else ""
    with os.scandir(fd) as entries:
        return [entry.name for entry, _ in zip(entries, range(_MOST), strict=False) if entry.name.startswith(prefix)]
