"""Finds the owners of the server to which a process, given by its pid, belongs.

The names of runtime directories have a master's pid, an owner listens on its socket, a worker is on its owner's roster,
and a process that has not attached yet has a master among its parents. Rejected: reading the environment of the process
(a forked worker shows the one that its master was started with).
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

from confcast.errors import ConfcastError, OwnerUnavailable
from confcast.wire import processes
from confcast.wire.files import owner_dirs
from confcast.wire.files.owner_dirs import OwnerDir
from confcast.wire.listener import peer_of
from confcast.wire.messages import Workers, WorkersRequest
from confcast.worker.client.connection_per_call import Client

_EACH, _ALL = 1.0, 10.0
"""Seconds to wait for one owner's answer, and for the answers of all."""

_ROOT = 0


def owners_of(pid: int, name: str | None) -> list[OwnerDir]:
    """The folders of the owners of this process's server; if a name is given, only those of that name.

    Raises:
        OwnerUnavailable: There is no such process, or it belongs to no server that is found here.
    """
    if not processes.is_alive(pid):
        raise OwnerUnavailable(f"there is no process {pid}")
    if mine := next(filter(None, _by_each_sign(pid, name)), None):
        return [each for each in mine if not each.is_superseded()] or mine
    named = "" if name is None else f" named {name!r}"
    raise OwnerUnavailable(f"the process {pid} belongs to no server that has a config owner{named} here")


def _by_each_sign(pid: int, name: str | None) -> Iterator[list[OwnerDir]]:
    """For each sign in turn, the owners that it shows to be the process's. Reads the names of any number of folders."""
    yield _found(name, pid)
    few = _found(name)  # each of these owners is asked
    for belongs in (_is_owner(pid), _has_worker(pid)):
        yield [each for each in few if belongs(each)]
    for parent in processes.parents(pid):
        yield _found(name, parent)


def _found(name: str | None, master: int | None = None) -> list[OwnerDir]:
    of_others = owner_dirs.of_other_users(name, master)
    return [*owner_dirs.living(name=name, master=master), *of_others]


def _is_owner(pid: int) -> Callable[[OwnerDir], bool]:
    return lambda each: _listener(each) == pid


def _has_worker(pid: int) -> Callable[[OwnerDir], bool]:
    """Ask only owners of that process's user, or of root: any other user may run an owner that claims any worker."""
    user = processes.user_of(pid)
    end = time.monotonic() + _ALL

    def has(each: OwnerDir) -> bool:
        left = min(_EACH, end - time.monotonic())
        if left <= 0 or each.user() not in (user, _ROOT):
            return False
        with contextlib.suppress(ConfcastError):
            answer = Client(each.address, each.label).ask(lambda number: WorkersRequest(number), left)
            return isinstance(answer, Workers) and any(worker.pid == pid for worker in answer.workers)
        return False

    return has


def _listener(each: OwnerDir) -> int:
    """The pid of the process that listens in this folder; 0 if none does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, contextlib.suppress(OSError):
        connection.settimeout(_EACH)
        connection.connect(each.address)
        return peer_of(connection).pid
    return 0
