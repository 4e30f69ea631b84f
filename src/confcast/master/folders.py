"""A manager makes a runtime directory at its start, and removes those that killed servers of its user have left.

Each start of a manager makes a folder of mode 0700 in the first place in which that succeeds
(`wire/files/owner_dirs.py`). It removes the folders of dead masters, and those of the program that this process ran
before an `exec`, which keeps pid and start time. Containers of one pod share /dev/shm, and don't see each other's
processes: so a folder whose owner listens is never removed, whatever its name says. Rejected: the master's pid alone as
the folder's name (in a container every master is process 1, also the next one after a kill).
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import socket
import stat
from pathlib import Path

from confcast.errors import ConfcastError
from confcast.log_fields import about
from confcast.wire import processes
from confcast.wire.files import lasting_address, owner_dirs
from confcast.wire.files.owner_dirs import OwnerDir
from confcast.wire.listener import FRESH, MAX_PATH, peer_of

_log = logging.getLogger("confcast.master")

_ROOM_FOR_THE_SOCKET = len(f"/{FRESH}")
_EXIT_TIMEOUT = 5.0
"""Seconds for the exit of the owner of a program that `exec` has replaced: the end of the channel ends that owner."""

_made: set[Path] = set()
"""The folders that this program has made. Each is added before it exists, or another thread's sweep would remove it."""


def make(name: str, workers: tuple[int, int] | None = None) -> Path:
    """Make a runtime directory for the owner of this configuration.

    Args:
        name: The configuration's name.
        workers: Uid (-1: any) and gid of the workers, if they run as another user, which must be able to enter, too.

    Raises:
        ConfcastError: No folder could be made; the text names every place that was tried.
    """
    prefix = f"confcast-{owner_dirs.label(name)}-{os.getpid()}-{processes.started(os.getpid())}."
    tried = []
    for base in owner_dirs.candidates():
        if workers is not None and (barrier := barrier_to(base, *workers)):
            whose = f"user (uid {workers[0]})" if workers[0] >= 0 else f"group (gid {workers[1]})"
            _log.warning(
                "no run-time folder in %s: the workers' %s can't enter %s",
                base,
                whose,
                barrier,
                extra=about("folder_not_usable", path=base, uid=workers[0], gid=workers[1]),
            )
            tried.append(f"{base} (the workers' {whose.partition(' ')[0]} can't enter {barrier})")
            continue
        try:
            folder = _make_one(base, prefix)
        except OSError as error:
            tried.append(_passed_over(base, error.strerror or str(error)))
            continue
        if len(os.fsencode(folder)) + _ROOM_FOR_THE_SOCKET <= MAX_PATH:
            folder.chmod(0o700)  # a umask that takes x away would make folders in which nothing can be made
            return folder
        remove(folder)
        tried.append(_passed_over(base, f"a socket's path in it would be longer than {MAX_PATH} bytes"))
    raise ConfcastError(f"no folder for the config owner could be made; tried {', '.join(tried)}")


def _make_one(base: Path, prefix: str) -> Path:
    """Make a folder as `tempfile.mkdtemp` does, and add it to `_made` before it exists. Raises OSError."""
    while True:
        folder = base / f"{prefix}{secrets.token_hex(4)}"
        _made.add(folder)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        except OSError:
            _made.discard(folder)
            raise
        return folder


def _passed_over(base: Path, why: str) -> str:
    """The entry of this place in the list of tried places. Logs it, too, if an operator named it for this server."""
    if base in owner_dirs.named():
        _log.warning(
            "no run-time folder in %s, which is named for it: %s; others are tried",
            base,
            why,
            extra=about("folder_not_usable", path=base, reason=why),
        )
    return f"{base} ({why})"


def barrier_to(folder: Path, uid: int, gid: int) -> Path | None:
    """The first folder on the way to this one, or this one, whose mode shuts this user out; None if there is none.

    `uid` -1: the members of the group, whichever user they are.

    The user's other groups are not considered, since the server decides whether workers keep them.
    """
    way = [*reversed(folder.resolve().parents), folder.resolve()]
    return next((step for step in way if not _may_enter(step, uid, gid)), None)


def _may_enter(folder: Path, uid: int, gid: int) -> bool:
    try:
        status = folder.stat()
    except OSError:
        return True  # there is no such folder: making one in it fails, and is reported
    others = stat.S_IXGRP if gid == status.st_gid else stat.S_IXOTH
    return uid == 0 or bool(status.st_mode & (stat.S_IXUSR if uid == status.st_uid else others))


def sweep() -> None:
    """Remove the folders of this user's servers that were killed with their owner.

    It also removes those that this process made before an `exec`, as another program: that program's owner is exiting,
    and is waited for.
    """
    for found in owner_dirs.mine():
        former = _is_of_a_former_program(found) and _await_its_end(found)
        if (former or not found.lives()) and not has_an_owner(found):
            whose = "this process as another program" if former else f"the process {found.master}, which is dead"
            _log.info(
                "removing %s, left behind by %s (%s)",
                found.path,
                whose,
                found.label,
                extra=about("folder_removed", path=found.path),
            )
            remove(found.path)


def remove(folder: Path) -> None:
    """Remove a runtime directory, as far as it still exists."""
    shutil.rmtree(folder, ignore_errors=True)
    _made.discard(folder)


def is_of_a_former_program(address: str) -> bool:
    """Whether this process made the folder of this control socket as another program, before an `exec`.

    That program's owner is exiting, and is waited for. An owner that stays is another interpreter's in this process.
    """
    found = lasting_address.owner_at(address)
    return found is not None and _is_of_a_former_program(found) and _await_its_end(found)


def _is_of_a_former_program(found: OwnerDir) -> bool:
    me = os.getpid()
    return found.server == (me, processes.started(me)) and found.path not in _made


def _await_its_end(found: OwnerDir) -> bool:
    """Wait some seconds at most for the owner of this folder to exit. Returns whether it has."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, contextlib.suppress(OSError):
        connection.settimeout(_EXIT_TIMEOUT)
        connection.connect(found.address)
        with contextlib.closing(processes.Death(peer_of(connection).pid)) as death:
            return death.wait(_EXIT_TIMEOUT)
    return True


def has_an_owner(found: OwnerDir) -> bool:
    """Whether an owner listens in this folder: its master may live in a PID namespace that this process can't see."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(found.address)
        except BlockingIOError:  # the socket's backlog is full
            return True
        except OSError:
            return False
    return True
