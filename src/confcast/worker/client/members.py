"""Finds the owners of the server to which a process, given by its pid, belongs.

The names of runtime directories have a master's pid, an owner listens on its socket, a worker is on its owner's roster,
and a process that has not attached yet, or a child of any of these, has one of them among its parents. Rejected:
reading the environment of the process (a forked worker shows the one that its master was started with).
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
from confcast.worker.client.connection_per_call import AddressClient

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
    """For each sign in turn, the owners that it shows to be the process's. Reads the names of any number of folders.

    A parent shows the same as the process itself; the nearest one counts, since a server may run inside another one's.
    """
    yield _found(name, pid)
    few = _found(name)  # each of these owners is asked
    listens, has_worker = {owner: _listener(owner) for owner in few}, _has_worker(few)
    for each in (pid, *processes.parents(pid)):
        if each != pid:
            yield _found(name, each)
        yield [owner for owner in few if listens[owner] == each]
        yield [owner for owner in few if has_worker(owner, each)]


def _found(name: str | None, master: int | None = None) -> list[OwnerDir]:
    of_others = owner_dirs.of_other_users(name, master)
    return [*owner_dirs.living(name=name, master=master), *of_others]


def _has_worker(few: list[OwnerDir]) -> Callable[[OwnerDir, int], bool]:
    """Whether an owner has this worker. Each owner is asked once, when that is first of use.

    Asks only owners of that process's user, or of root: any other user may run an owner that claims any worker.
    """
    end = time.monotonic() + _ALL
    rosters = dict[OwnerDir, frozenset[int]]()

    def has(each: OwnerDir, pid: int) -> bool:
        if each.user() not in (processes.user_of(pid), _ROOT):
            return False
        if each not in rosters:
            rosters[each] = _workers(each, min(_EACH, end - time.monotonic()))
        return pid in rosters[each]

    return has


def _workers(each: OwnerDir, timeout: float) -> frozenset[int]:
    """The pids of this owner's workers; none if it does not answer in time."""
    if timeout <= 0:
        return frozenset()
    with contextlib.suppress(ConfcastError):
        answer = AddressClient(each.address, each.label).ask(lambda number: WorkersRequest(number), timeout)
        return frozenset(worker.pid for worker in answer.workers) if isinstance(answer, Workers) else frozenset()
    return frozenset()


def _listener(each: OwnerDir) -> int:
    """The pid of the process that listens in this folder; 0 if none does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, contextlib.suppress(OSError):
        connection.settimeout(_EACH)
        connection.connect(each.address)
        return peer_of(connection).pid
    return 0
