"""A lasting address: a path that stays the same while owners come and go, as `confcast serve --address PATH` keeps it.

An owner's control socket lies in a runtime directory, and ends with its owner. A lasting address leads to the one that
serves now, in one of two ways: it is a symbolic link to the control socket, which is replaced atomically; or it is a
listening socket that outlives owners (systemd's), and the link `PATH.folder` beside it leads to the runtime directory.
Connecting follows a link by itself; the files beside a control socket (snapshot, notes, description) are found here, at
each use: what was found before may be a former owner's.

Rejected: a socket that `confcast serve` binds at PATH and hands on to each of its owners (another process that takes
over could only get it from the one that it replaces, which may be dead; and a link tells the folder as well), and
asking the owner for its folder (a process that starts while no owner answers needs the snapshot file).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from confcast.wire.files import owner_dirs
from confcast.wire.files.owner_dirs import FORMER, OwnerDir
from confcast.wire.listener import SOCKET

_FOLDER = ".folder"
_MOST_LINKS = 8
_MOST_FORMERS = 16


def folder_link(address: str) -> str:
    """The link beside a socket that outlives owners, which leads to the runtime directory of the present one."""
    return address + _FOLDER


def lead(link: Path, target: str | Path) -> None:
    """Have a link lead to this target from now on: who follows it meanwhile finds the former. Raises OSError."""
    fresh = link.with_name(f".{link.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.rename(link)


def is_lasting(address: str) -> bool:
    """Whether this is no control socket in a runtime directory, but a path that may lead to one."""
    return owner_dirs.parse(Path(address).parent) is None


def folder_of(address: str) -> Path:
    """The runtime directory of the owner that this address leads to now; its own folder if it leads to none."""
    found = runtime_dir_of(address)
    return Path(address).parent if found is None else found


def runtime_dir_of(address: str) -> Path | None:
    """The runtime directory of the owner that this address leads to now; None if it leads to none."""
    path = Path(address)
    for _ in range(_MOST_LINKS):
        if owner_dirs.parse(path.parent) is not None:
            return path.parent
        target = _target(path)
        if target is None:
            break
        path = target
    folder = _target(Path(folder_link(address)))
    return folder if folder is not None and owner_dirs.parse(folder) is not None else None


def owner_at(address: str) -> OwnerDir | None:
    """What the runtime directory's name says of the owner that this address leads to now; None if it leads to none."""
    found = runtime_dir_of(address)
    return owner_dirs.parse(found) if found is not None else None


def is_left(address: str) -> bool:
    """Whether this address leads to the owner of a dead process: that was killed, or the address would be gone."""
    found = owner_at(address)
    return found is not None and not found.lives()


def control_socket(address: str) -> str:
    """The control socket that a link at this address leads to now; the address itself if it is no such link."""
    found = runtime_dir_of(address) if Path(address).is_symlink() else None
    return address if found is None else f"{found}/{SOCKET}"


def formers(folder: Path) -> Iterator[Path]:
    """The runtime directories of the generations before that of this folder, the newest first, while they exist."""
    for _ in range(_MOST_FORMERS):
        former = _target(folder / FORMER)
        if former is None or owner_dirs.parse(former) is None:
            return
        yield former
        folder = former


def _target(link: Path) -> Path | None:
    """Where a link leads, in one step; None if it is none."""
    try:
        return link.parent / link.readlink()
    except (OSError, ValueError):
        return None
