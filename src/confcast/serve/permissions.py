"""`--user`, `--group` and `--mode` of `confcast serve`: which processes may attach, besides those of its own user.

Whoever may attach may call all verbs, `set` and `rollback` among them, as a server's workers may; the history says
which user has. Only root can let another user in; any user can let in a group that it is in itself. There is no mode
for everybody: the configuration, secrets included, would be every local user's.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path
from typing import NamedTuple

from confcast.master import folders
from confcast.serve.address_link import AddressRefused

MODES = {"0600": False, "0660": True}
"""The modes that `--mode` takes, and whether the group attaches."""


class LetIn(NamedTuple):
    """Who may attach.

    Attributes:
        uid: Another user; -1 for none.
        gid: The group that walks through the runtime directory; -1 for none.
        shared: Whether each member of the group may attach.
    """

    uid: int = -1
    gid: int = -1
    shared: bool = False

    @property
    def is_nobody_else(self) -> bool:
        """Whether only processes of this user may attach."""
        return self.gid < 0


def let_in(user: str | None, group: str | None, mode: str | None) -> LetIn:
    """Who these options mean.

    Raises:
        ValueError: There is no such user or group, or the options don't fit: a mistake on the command line.
        AddressRefused: This process may not let them in.
    """
    if mode is not None and MODES[mode] and group is None:
        raise ValueError("--mode 0660 lets a group in: say which one by --group")
    if mode is not None and not MODES[mode] and group is not None and user is None:
        raise ValueError("--mode 0600 lets no group in: leave --group out, or give --mode 0660")
    shared = group is not None and (mode is None or MODES[mode])
    uid, gid = -1, -1 if group is None else _gid(group)
    if user is not None:
        uid, its_gid = _user(user)
        gid = its_gid if gid < 0 else gid
    me = os.geteuid()
    if uid == me:
        uid, gid = -1, gid if shared else -1
    if uid >= 0 and me != 0:
        raise AddressRefused(
            f"--user {user}: only root can let another user in; --group lets in a group of this user's"
        )
    if shared and me != 0 and gid not in (os.getegid(), *os.getgroups()):
        raise AddressRefused(f"--group {group}: this user (uid {me}) is not in it, and only root could let it in then")
    return LetIn(uid, gid, shared)


def of_socket(path: Path) -> LetIn:
    """Who may connect to a socket that is passed to this process, by the socket's user, group and mode.

    Raises AddressRefused: this process may not let them in.
    """
    status = path.stat()
    uid = -1 if status.st_uid in (os.geteuid(), 0) else status.st_uid
    shared = bool(status.st_mode & stat.S_IWGRP) and status.st_gid != os.getegid()
    if os.geteuid() != 0 and (uid >= 0 or (shared and status.st_gid not in os.getgroups())):
        whose = f"user (uid {uid})" if uid >= 0 else f"group (gid {status.st_gid})"
        raise AddressRefused(
            f"the socket {path} is for another {whose}, which this user (uid {os.geteuid()}) can't let in: have "
            "SocketUser= be this service's User=, and SocketGroup= a group of it, or give SocketMode=0600"
        )
    return LetIn(uid, status.st_gid, shared) if uid >= 0 or shared else LetIn()


def check_way(path: Path, let_in: LetIn) -> None:
    """Raise AddressRefused if those who are let in could not follow the link at this path."""
    if let_in.is_nobody_else:
        return
    folder = path.parent
    if (barrier := folders.barrier_to(folder, let_in.uid, let_in.gid)) is not None:
        raise AddressRefused(
            f"--address {path}: who is let in by --user and --group can't enter {barrier}: give it their group and "
            "mode 0710, or another path"
        )
    status = folder.stat()
    if status.st_mode & stat.S_ISVTX and status.st_mode & stat.S_IWOTH and status.st_uid != os.geteuid():
        raise AddressRefused(
            f"--address {path}: in a folder like {folder}, which everybody may write in, Linux lets no other user "
            "follow a link: give a path in a folder of its own, such as one in /run"
        )


def _user(name: str) -> tuple[int, int]:
    """Its uid and its own group, by name or number."""
    try:
        found = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except KeyError:
        if name.isdecimal():
            return int(name), int(name)
        raise ValueError(f"--user {name}: there is no such user here") from None
    return found.pw_uid, found.pw_gid


def _gid(name: str) -> int:
    try:
        return int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        raise ValueError(f"--group {name}: there is no such group here") from None
