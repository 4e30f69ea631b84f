"""A manager's own run-time folder: made at its start, and what killed servers left behind taken away.

One folder of its own, 0700, for each start of a manager, in the first place that works (`wire/files/owner_dirs.py`).
Folders that a killed server left behind are taken away by the next start of the same user, and so are those of a
program that this very process was before an `exec`, which keeps pid and start time. Rejected: the master's pid alone
as its name (in a container every master is process 1, also the one after a kill). Containers of one pod share /dev/shm,
and don't see each other's processes: a folder whose owner listens is never swept, whatever its name says.
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
from confcast.wire import processes
from confcast.wire.files import owner_dirs
from confcast.wire.files.owner_dirs import OwnerDir
from confcast.wire.listener import FRESH, MAX_PATH, peer_of

_log = logging.getLogger("confcast.master")

_ROOM_FOR_THE_SOCKET = len(f"/{FRESH}")
_LEAVING = 5.0
"""Seconds for the owner of a program that has replaced itself: it hears of that by the end of its leash."""

_made: set[Path] = set()
"""By this program; each before it is there, so that no other thread's sweep takes it for a former program's."""


def make(name: str, workers: tuple[int, int] | None = None) -> Path:
    """A new run-time folder for the owner of this name.

    Args:
        name: The configuration's.
        workers: Uid and gid of the workers, where they are not this user's: it must be within their reach, too.

    Raises:
        ConfcastError: There is none; it names every folder that was tried.
    """
    prefix = f"confcast-{owner_dirs.label(name)}-{os.getpid()}-{processes.started(os.getpid())}."
    tried = []
    for base in owner_dirs.candidates():
        if workers is not None and (barrier := _barrier(base, *workers)):
            _log.warning(
                "no run-time folder in %s: the workers' user (uid %d) can't enter %s", base, workers[0], barrier
            )
            tried.append(f"{base} (the workers' user can't enter {barrier})")
            continue
        try:
            folder = _make_one(base, prefix)
        except OSError as error:
            tried.append(_passed_over(base, error.strerror or str(error)))
            continue
        if len(os.fsencode(folder)) + _ROOM_FOR_THE_SOCKET <= MAX_PATH:
            folder.chmod(0o700)  # a umask that takes x away makes folders in which nothing can be made
            return folder
        remove(folder)
        tried.append(_passed_over(base, f"a socket's path in it would be longer than {MAX_PATH} bytes"))
    raise ConfcastError(f"no folder for the config owner could be made; tried {', '.join(tried)}")


def _make_one(base: Path, prefix: str) -> Path:
    """As `tempfile.mkdtemp`; but it is known as this program's before it is there. Raises OSError."""
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
    """For the list of what was tried. Who has named a folder for this server looks for its owner there: it is said."""
    if base in owner_dirs.named():
        _log.warning("no run-time folder in %s, which is named for it: %s; others are tried", base, why)
    return f"{base} ({why})"


def _barrier(folder: Path, uid: int, gid: int) -> Path | None:
    """The first folder on the way to this one, or itself, that the mode closes to them; None when the way is free.

    Other groups that the user is in are not asked: whether workers keep them is the server's choice.
    """
    way = [*reversed(folder.resolve().parents), folder.resolve()]
    return next((step for step in way if not _may_enter(step, uid, gid)), None)


def _may_enter(folder: Path, uid: int, gid: int) -> bool:
    try:
        status = folder.stat()
    except OSError:
        return True  # it is not there: the next try to make one in it says so
    others = stat.S_IXGRP if gid == status.st_gid else stat.S_IXOTH
    return uid == 0 or bool(status.st_mode & (stat.S_IXUSR if uid == status.st_uid else others))


def sweep() -> None:
    """Take away what servers of this user left behind when they were killed with their owner.

    The same of what this process has made as another program, before an `exec`: that one's owner is leaving, and is
    waited for.
    """
    for found in owner_dirs.mine():
        former = _is_of_a_former_program(found) and _await_its_end(found)
        if (former or not found.lives()) and not _has_an_owner(found):
            whose = "this process as another program" if former else f"the process {found.master}, which is dead"
            _log.info("removing %s, left behind by %s (%s)", found.path, whose, found.label)
            remove(found.path)


def remove(folder: Path) -> None:
    """Take a run-time folder away, as far as it is still there."""
    shutil.rmtree(folder, ignore_errors=True)
    _made.discard(folder)


def is_of_a_former_program(address: str) -> bool:
    """Whether this process has made the folder of this control socket, but as another program, before an `exec`.

    That one's owner hears of it, and is waited for. One that lives on is of another interpreter in this process.
    """
    found = owner_dirs.parse(Path(address).parent)
    return found is not None and _is_of_a_former_program(found) and _await_its_end(found)


def _is_of_a_former_program(found: OwnerDir) -> bool:
    me = os.getpid()
    return found.server == (me, processes.started(me)) and found.path not in _made


def _await_its_end(found: OwnerDir) -> bool:
    """Whether no owner is there any more, after some seconds at the most."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock, contextlib.suppress(OSError):
        knock.settimeout(_LEAVING)
        knock.connect(found.address)
        with contextlib.closing(processes.Death(peer_of(knock).pid)) as death:
            return death.wait(_LEAVING)
    return True


def _has_an_owner(found: OwnerDir) -> bool:
    """Whether somebody listens there: its master may live where its pid means nothing here."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(found.address)
        except BlockingIOError:  # so many are waiting
            return True
        except OSError:
            return False
    return True
