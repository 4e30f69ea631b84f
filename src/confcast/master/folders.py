"""Where an owner may live: the first folder that works.

In this order: `CONFCAST_RUNTIME_DIR`, `RUNTIME_DIRECTORY` (systemd's RuntimeDirectory=), `XDG_RUNTIME_DIR`, /dev/shm,
the temporary directory. One folder of its own, 0700, for each start of a manager. Folders that a killed server left
behind are taken away by the next start of the same user. Rejected: one fixed path (two servers on one host), and the
master's pid alone as its name (in a container every master is process 1, also the one after a kill). Containers of one
pod share /dev/shm, and don't see each other's processes: a folder whose owner listens is never swept, whatever its name
says.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from confcast.errors import ConfcastError
from confcast.wire import processes
from confcast.wire.boot import HANDOVER
from confcast.wire.listener import FRESH, MAX_PATH, SOCKET

_log = logging.getLogger("confcast.master")

_OURS = re.compile(r"confcast-(?P<name>.*)-(?P<pid>\d+)-(?:(?P<since>\d+)\.)?[^-]+")
_ROOM_FOR_THE_SOCKET = len(f"/{FRESH}")


def candidates() -> Iterator[Path]:
    """The folders to try, in their order."""
    yield from named()
    yield from _of_variables("XDG_RUNTIME_DIR")
    yield Path("/dev/shm")  # noqa: S108 - the folder made in it is 0700, and named by mkdtemp
    with contextlib.suppress(FileNotFoundError):  # a read-only root without a /tmp
        yield Path(tempfile.gettempdir())


def named() -> Iterator[Path]:
    """Those of them that somebody has named for one server, and not for all of a user's."""
    yield from _of_variables("CONFCAST_RUNTIME_DIR", "RUNTIME_DIRECTORY")


def _of_variables(*variables: str) -> Iterator[Path]:
    for variable in variables:
        if value := os.environ.get(variable, "").split(":")[0]:
            yield Path(value).absolute()


def make(name: str, workers: tuple[int, int] | None = None) -> Path:
    """A new run-time folder for the owner of this name.

    Args:
        name: The configuration's.
        workers: Uid and gid of the workers, where they are not this user's: it must be within their reach, too.

    Raises:
        ConfcastError: There is none; it names every folder that was tried.
    """
    prefix = f"confcast-{label(name)}-{os.getpid()}-{processes.started(os.getpid())}."
    tried = []
    for base in candidates():
        if workers is not None and (barrier := _barrier(base, *workers)):
            _log.warning(
                "no run-time folder in %s: the workers' user (uid %d) can't enter %s", base, workers[0], barrier
            )
            tried.append(f"{base} (the workers' user can't enter {barrier})")
            continue
        try:
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=base))
        except OSError as error:
            tried.append(_passed_over(base, error.strerror or str(error)))
            continue
        if len(os.fsencode(folder)) + _ROOM_FOR_THE_SOCKET <= MAX_PATH:
            folder.chmod(0o700)  # a umask that takes x away makes folders in which nothing can be made
            return folder
        folder.rmdir()
        tried.append(_passed_over(base, f"a socket's path in it would be longer than {MAX_PATH} bytes"))
    raise ConfcastError(f"no folder for the config owner could be made; tried {', '.join(tried)}")


def _passed_over(base: Path, why: str) -> str:
    """For the list of what was tried. Who has named a folder for this server looks for its owner there: it is said."""
    if base in named():
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


def is_left(folder: Path) -> bool:
    """Whether its owner only serves the last workers of a generation that another one has followed."""
    return (folder / HANDOVER).exists()


def is_of_a_living_master(folder: Path) -> bool:
    """Whether it is a folder of this user's, and who made it lives."""
    match = _OURS.fullmatch(folder.name)
    return match is not None and _is_my_folder(folder) and _lives(match)


def master_of(folder: Path) -> int | None:
    """The process that has made it, by its name; None when it is no folder of an owner."""
    match = _OURS.fullmatch(folder.name)
    return int(match["pid"]) if match else None


def name_of(folder: Path) -> str | None:
    """The label of the configuration that it was made for; None when it is no folder of an owner."""
    match = _OURS.fullmatch(folder.name)
    return match["name"] if match else None


def label(name: str) -> str:
    """How a configuration's name stands in its folder's name: without what a path can't have, and not too long."""
    return re.sub(r"[^A-Za-z0-9_.]", "_", name)[:24]


def living() -> list[tuple[str, int, Path]]:
    """Name, master and folder of every owner of this user whose master lives."""
    return [(match["name"], int(match["pid"]), folder) for match, folder in _ours() if _lives(match)]


def sweep() -> None:
    """Take away what servers of this user left behind when they were killed with their owner."""
    for match, folder in _ours():
        if not _lives(match) and not _has_an_owner(folder):
            _log.info(
                "removing %s, left behind by the process %s (%s), which is dead", folder, match["pid"], match["name"]
            )
            remove(folder)


def remove(folder: Path) -> None:
    """Take a run-time folder away, as far as it is still there."""
    shutil.rmtree(folder, ignore_errors=True)


def _ours() -> Iterator[tuple[re.Match[str], Path]]:
    for base in dict.fromkeys(candidates()):
        for folder in _there(base):
            match = _OURS.fullmatch(folder.name)
            if match and _is_my_folder(folder):
                yield match, folder


def _there(base: Path) -> list[Path]:
    try:
        return sorted(base.glob("confcast-*"))
    except OSError:  # beyond this user's reach: `su` keeps the environment of another one
        return []


def _lives(match: re.Match[str]) -> bool:
    """Whether the process that has made the folder of this name lives, and is no later one with its pid."""
    return processes.is_alive(int(match["pid"]), int(match["since"] or 0))


def _has_an_owner(folder: Path) -> bool:
    """Whether somebody listens there: its master may live where its pid means nothing here."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(folder / SOCKET))
        except BlockingIOError:  # so many are waiting
            return True
        except OSError:
            return False
    return True


def _is_my_folder(folder: Path) -> bool:
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
