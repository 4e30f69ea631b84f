"""Runtime directories of owners: where they are made, what their names say, and which of them a caller means.

A folder is made in the first of these places in which that succeeds: `CONFCAST_RUNTIME_DIR`, `RUNTIME_DIRECTORY`
(systemd's RuntimeDirectory=), `XDG_RUNTIME_DIR`, /dev/shm and the temporary directory. Its name has the configuration's
name, and the pid and start time of its master. Guarantees: a name is believed only if this user made the folder, or
root made it for this user's workers; by root, also if the folder's user is its master's. No function returns more than
`MOST` folders.

Rejected: one fixed path (a host may have two servers), a file that lists the owners (a killed owner would stay in it),
`tempfile.gettempdir()` (it tries each place by writing a file: on a full disk, a command would search another place
than that in which the owner was made; and it imports half a MiB of compression), and, for root, a walk through every
user's variables (`/proc/net/unix` lists the sockets that listen).
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from confcast.wire import processes
from confcast.wire.files import about
from confcast.wire.listener import FRESH, SOCKET

HANDOVER = "handover"
"""The file in a paused owner's run-time folder that holds a copy of its journal for the next owner."""
FORMER = "former"
"""The link in a runtime directory to that of the generation before, while workers of its schema are served there."""
TAKE_OVER = "serve.sock"
"""The socket in the run-time folder of a `confcast serve` at which another one asks to take over."""
MOST = 64
"""How many folders a caller gets: a user may have made any number."""

OF_ONE_SERVER = ("CONFCAST_RUNTIME_DIR", "RUNTIME_DIRECTORY")
"""Variables that name a place for one server, not for all servers of a user."""

_MOST_OF_A_USER = 16
"""How many of these folders, for root, may belong to one other user."""

_OURS = re.compile(r"confcast-(?P<name>.*)-(?P<pid>\d+)-(?:(?P<since>\d+)\.)?[^-]+")
_RUN_USER = Path("/run/user")
_LISTENING = Path("/proc/net/unix")
_ROOT = 0


class OwnerDir(NamedTuple):
    """One owner's folder, as far as its name says.

    Attributes:
        path: The folder.
        label: The configuration's name, as it stands in a folder's name.
        master: The pid of the process that made it.
        since: When that process began; 0 if not known.
    """

    path: Path
    label: str
    master: int
    since: int

    @property
    def address(self) -> str:
        """The path of the owner's control socket."""
        return f"{self.path}/{SOCKET}"

    @property
    def server(self) -> tuple[int, int]:
        """The pid and the start time of the master; no later process has both."""
        return self.master, self.since

    def lives(self) -> bool:
        """Whether the process that made the folder lives."""
        return processes.is_alive(self.master, self.since)

    def is_superseded(self) -> bool:
        """Whether the folder's owner only serves the last workers of a generation that has a successor."""
        with contextlib.suppress(OSError):
            return (self.path / HANDOVER).exists()
        return False

    def user(self) -> int:
        """The uid of the folder's user; -1 if the folder does not exist any more."""
        with contextlib.suppress(OSError):
            return self.path.lstat().st_uid
        return -1

    def started_in(self) -> str:
        """The working directory of the folder's master, as it was when the owner began; "" if it is not known."""
        written = self._about()
        return written.working_directory if written is not None else processes.working_directory(self.master)

    def command(self) -> str:
        """The command line of the folder's master; "" if it is not known."""
        written = self._about()
        return written.command if written is not None else processes.command(self.master)

    def _about(self) -> about.About | None:
        """The file that the folder's owner wrote; None for another user's folder, unless root's: it may be forged."""
        return about.load(self.path) if self.user() in (_ROOT, os.geteuid()) else None


def candidates() -> Iterator[Path]:
    """The places where a folder may be made, in their order."""
    yield from named()
    yield from _of_variables("XDG_RUNTIME_DIR")
    yield Path("/dev/shm")  # noqa: S108 - the folder made in it is 0700, and nobody can guess its name
    yield from _temporary()


def named() -> Iterator[Path]:
    """The places that an operator has named for one server, not for all servers of a user."""
    yield from _of_variables(*OF_ONE_SERVER)


def _temporary() -> Iterator[Path]:
    """The temporary directory: the first of the usual ones that can be written. A read-only root has none."""
    given = (os.environ.get(variable) for variable in ("TMPDIR", "TEMP", "TMP"))
    for path in filter(None, (*given, "/tmp", "/var/tmp", "/usr/tmp")):  # noqa: S108 - as above
        if os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK):  # noqa: PTH112 - no Path for each of them
            yield Path(path).absolute()
            return


def _of_variables(*variables: str) -> Iterator[Path]:
    for variable in variables:
        if value := os.environ.get(variable, "").split(":")[0]:
            yield Path(value).absolute()


def label(name: str) -> str:
    """The configuration's name as its folder's name has it: without characters that a path can't have, and cut."""
    return re.sub(r"[^A-Za-z0-9_.]", "_", name)[:24]


def parse(folder: Path) -> OwnerDir | None:
    """The folder as its name describes it; None if the name is no owner's."""
    match = _OURS.fullmatch(folder.name)
    return OwnerDir(folder, match["name"], int(match["pid"]), int(match["since"] or 0)) if match else None


def is_of_a_living_master(folder: Path) -> bool:
    """Whether this user made the folder, and the process that made it lives."""
    found = parse(folder)
    return found is not None and _is_mine(found) and found.lives()


def mine() -> Iterator[OwnerDir]:
    """All folders that this user has made, whether their masters live or not."""
    return filter(_is_mine, _found_in(candidates()))


def living(*places: Path, name: str | None = None, master: int | None = None) -> list[OwnerDir]:
    """The folders of this user, and of owners that serve this user's workers, whose masters live.

    Args:
        places: Folders that are searched, too, and first.
        name: The configuration's name; None for any.
        master: The pid of the process that made the folder; None for any.
    """
    found = _named(name, _made_by(master, _found_in([*places, *candidates()])))
    return _first(each for each in found if _is_for_me(each) and each.lives())


def of_other_users(name: str | None = None, master: int | None = None) -> list[OwnerDir]:
    """For root, the folders of all other users whose masters live; for another user, none. Arguments as of `living`."""
    if os.geteuid() != _ROOT:
        return []
    bases = [*candidates(), *_subfolders(_RUN_USER)]
    found = _named(name, _made_by(master, _once([*_found_in(bases), *_listening()])))
    theirs = (each for each in found if each.user() != _ROOT and _is_its_masters(each) and each.lives())
    return _first(_some_of_each_user(theirs))


def meant(name: str | None, found: Iterable[OwnerDir]) -> list[OwnerDir]:
    """Of the folders whose owners load, those that a caller means by this name, or by no name (None).

    Folders in a place that is named for one server come before those elsewhere: a service's own reload means the
    service. If a place is named, a folder elsewhere is meant by its name only: when the service's own owner is gone,
    the only owner that runs is another server's. Of several folders, the one whose master was started in this working
    directory is meant.
    """
    there = eligible(name, found)
    here = [each for each in there if is_here(each)] if len(there) > 1 else []
    return here if len(here) == 1 else there


def eligible(name: str | None, found: Iterable[OwnerDir]) -> list[OwnerDir]:
    """The folders among which only the working directory chooses: `meant` before its last rule."""
    return _in_the_named_place(loading(name, found), also_elsewhere=name is not None)


def loading(name: str | None, found: Iterable[OwnerDir]) -> list[OwnerDir]:
    """The folders of this name (None: of any name) whose owners load, and so are not superseded."""
    return [each for each in _named(name, found) if not each.is_superseded()]


def in_named_places(found: Iterable[OwnerDir]) -> list[OwnerDir]:
    """The folders in a place that an operator has named for one server."""
    places = list(named())
    return [each for each in found if any(_is_in(base, each) for base in places)]


def is_here(found: OwnerDir) -> bool:
    """Whether the folder's master was started in this process's working directory."""
    started_in = found.started_in()
    with contextlib.suppress(OSError, ValueError):  # the directory was deleted, or the text is no path
        return Path(started_in).is_absolute() and Path(started_in).samefile(Path.cwd())
    return False


def _in_the_named_place(found: list[OwnerDir], *, also_elsewhere: bool) -> list[OwnerDir]:
    """The folders in the first named place that has any; all folders if no place is named, or with `also_elsewhere`."""
    places = list(named())
    for base in places:
        if there := [each for each in found if _is_in(base, each)]:
            return there
    return found if also_elsewhere or not places else []


def _is_in(base: Path, found: OwnerDir) -> bool:
    """Whether the folder is in this place, by whichever of the place's names it was found."""
    with contextlib.suppress(OSError):
        return found.path.parent.samefile(base)
    return False


def _found_in(bases: Iterable[Path]) -> Iterator[OwnerDir]:
    entered = set[tuple[int, int]]()
    for base in bases:
        with contextlib.suppress(OSError):
            status = base.stat()  # two names may lead to one place
            if (inode := (status.st_dev, status.st_ino)) not in entered:
                entered.add(inode)
                yield from filter(None, map(parse, _there(base)))


def _once(found: Iterable[OwnerDir]) -> Iterator[OwnerDir]:
    """Each folder once, by the first of its paths: a place may have two names."""
    seen = set[tuple[int, int]]()
    for each in found:
        with contextlib.suppress(OSError):
            status = each.path.lstat()  # not stat(): by a link a user could hide another one's folder
            if (inode := (status.st_dev, status.st_ino)) not in seen:
                seen.add(inode)
                yield each


def _named(name: str | None, found: Iterable[OwnerDir]) -> Iterator[OwnerDir]:
    return (each for each in found if name is None or each.label == label(name))


def _made_by(master: int | None, found: Iterable[OwnerDir]) -> Iterator[OwnerDir]:
    return (each for each in found if master is None or each.master == master)


def _some_of_each_user(found: Iterable[OwnerDir]) -> Iterator[OwnerDir]:
    """The first folders of each user, so that no user can hide those of others by making many."""
    count = Counter[int]()
    for each in found:
        count[user := each.user()] += 1
        if count[user] <= _MOST_OF_A_USER:
            yield each


def _there(base: Path) -> list[Path]:
    try:
        return sorted(base / name for name in os.listdir(base) if name.startswith("confcast-"))  # noqa: PTH208
    except OSError:  # not accessible for this user: `su` keeps the environment of another one
        return []


def _subfolders(base: Path) -> list[Path]:
    try:
        return sorted(path for path in base.iterdir() if path.is_dir())
    except OSError:
        return []


def _listening() -> Iterator[OwnerDir]:
    """The folders of all owners that listen: no variable of root's names systemd's RuntimeDirectory=. Linux only."""
    with contextlib.suppress(OSError):
        for line in _LISTENING.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            path = line.split(maxsplit=7)[-1]
            if path.endswith(f"/{FRESH}") and (found := parse(Path(path).parent)) is not None:
                yield found  # it was bound under that name


def _first(found: Iterable[OwnerDir]) -> list[OwnerDir]:
    return [each for each, _ in zip(found, range(MOST), strict=False)]


def _is_mine(found: OwnerDir) -> bool:
    return _folder_of(found) == os.geteuid()


def _is_for_me(found: OwnerDir) -> bool:
    """Whether the folder is this user's, or is root's and its control socket is for this user, or a group of its."""
    user, me = _folder_of(found), os.geteuid()
    if user != _ROOT:
        return user == me
    with contextlib.suppress(OSError):
        if me == _ROOT:
            return True
        status = Path(found.address).lstat()
        its_groups = (os.getegid(), *os.getgroups())
        return status.st_uid == me or (bool(status.st_mode & stat.S_IWGRP) and status.st_gid in its_groups)
    return False


def _is_its_masters(found: OwnerDir) -> bool:
    """Whether the folder's user is the user of the master that it names: any user may give a folder any name."""
    user = _folder_of(found)
    return user >= 0 and user == processes.user_of(found.master)


def _folder_of(found: OwnerDir) -> int:
    """The uid of the folder's user, if it is a folder and no link to one; otherwise -1."""
    with contextlib.suppress(OSError):
        status = found.path.lstat()
        return status.st_uid if stat.S_ISDIR(status.st_mode) else -1
    return -1
