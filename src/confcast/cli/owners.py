"""The config owner that a command line means, and the client that asks it.

`--address`, or `--pid` of any process of the server or of a child of one, says which; without them
`CONFCAST_ADDRESS_<NAME>`, which a master sets for the processes that it starts. Without a name that is the variable of
`app`, else the only one that is set, and of several none. Without a variable it is the only owner that loads for
this user (one that only serves the last workers of an older generation does not), or, for root without an owner, the
only one of another user. If `CONFCAST_RUNTIME_DIR` or systemd's `RUNTIME_DIRECTORY` names a folder, owners in it come
first; elsewhere, an owner is then found by name only, and another user's by pid or address only. So a service's own
reload means the service, even if that has no owner any more. Of several owners, the one whose master was started in the
current directory is taken, with a warning. Otherwise they are listed, with what to type for each, and none is taken: a
reload of the wrong server can't be undone.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import os
import socket
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confcast.cli.report import line
from confcast.cli.report import user_name as user_name
from confcast.errors import OwnerUnavailable
from confcast.wire.address import address_variable, is_name
from confcast.wire.files import owner_dirs
from confcast.wire.files.owner_dirs import OwnerDir
from confcast.wire.listener import peer_of
from confcast.wire.messages import Answer, Operation, ReloadEvent, Request, Stats, StatsRequest
from confcast.worker.client.connection_per_call import Client

_log = logging.getLogger("confcast.cli")

_DEFAULT_NAME = "app"
_VARIABLES = address_variable("")
_RETRY = 0.05
_RESTART = 3.0
_UNANSWERED = 5.0
"""Seconds to wait for a reload by an owner that has not answered even a request that needs no load."""


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which owner is meant."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--address", type=_not_empty, metavar="SOCKET", help="the owner's control socket")
    which.add_argument("--pid", type=int, help="a process of the server (master, worker, owner), or below one")
    parser.add_argument(
        "--name",
        type=_not_empty,
        help=f"the configuration's name; without it, the owner at ${address_variable(_DEFAULT_NAME)} is asked, else "
        f"the one at any ${_VARIABLES}*, else the only one that runs, else the one whose master was started here",
    )


class OwnerClient(Client):
    """A client that waits some seconds for a dead owner to be restarted, while its socket exists or its master lives.

    After that, it raises an error that names the master. For use by one thread.

    Args:
        address: The path of the control socket.
        name: The configuration's name.
    """

    def __init__(self, address: str, name: str) -> None:
        super().__init__(address, name)
        self._nobody_listens = False  # as found when the owner was asked last
        self._asked = False  # whether an owner got the request, answered or not
        self._pid = 0  # that owner's pid, as far as the system shows it
        self._end = math.inf

    def reload_by_command(self, timeout: float | None, reason: str = "", *, force: bool = False) -> ReloadEvent:
        """Reload with the origin `command`; later requests have the time that is left of `timeout`."""
        return self.within(timeout, lambda seconds: self._reload(seconds, "command", reason=reason, force=force))

    def within(self, timeout: float | None, ask: Callable[[float], ReloadEvent]) -> ReloadEvent:
        """What `ask(timeout)` returns; later requests have the time that is left of `timeout`."""
        timeout = self._answers_within() if timeout is None else timeout
        self._end = time.monotonic() + timeout
        return ask(timeout)

    def _answers_within(self) -> float:
        """Seconds within which the owner answers, as it says; some if it does not answer. Raises OwnerUnavailable."""
        answer = self._ask(lambda number: StatsRequest(number), _UNANSWERED)
        if not isinstance(answer, Stats):
            return _UNANSWERED
        return float(answer.stats.get("answers_within") or super()._answers_within())

    def check_address(self) -> None:
        """Raise OwnerUnavailable if there is no such socket, and no master that could restart the owner."""
        try:
            there = stat.S_ISSOCK(Path(self.address).stat().st_mode)
        except PermissionError:  # Python 3.14's `is_socket()` returns False
            raise self._not_for_us() from None
        except (OSError, ValueError):
            there = False
        if not there and self._master() is None:
            raise OwnerUnavailable(f"no config owner listens at {line(self.address)}: there is no such socket")

    def _ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        self.check_address()
        self._asked = False
        deadline = min(time.monotonic() + timeout, self._end)
        give_up = min(deadline, time.monotonic() + _RESTART)
        while True:
            answer = self.ask(make, max(_RETRY, deadline - time.monotonic()))
            if answer is not None:
                return answer
            if self._asked and isinstance(make(0), Operation):  # to go back twice is to go back two versions
                return None
            if time.monotonic() + _RETRY > give_up:
                self._check_owner()
                return None
            time.sleep(_RETRY)

    def _open(self, request: Request, timeout: float) -> socket.socket:
        self._nobody_listens = False
        try:
            connection = super()._open(request, timeout)
        except (ConnectionRefusedError, FileNotFoundError):
            self._nobody_listens = True
            raise
        except PermissionError:
            raise self._not_for_us() from None
        self._asked = True
        with contextlib.suppress(OSError):
            self._pid = peer_of(connection).pid
        return connection

    def _whom(self) -> str:
        """The owner in words, with its pid: a person has to look at an owner that is stopped, or hangs."""
        return f"the config owner (process {self._pid})" if self._asked and self._pid else super()._whom()

    def _not_for_us(self) -> OwnerUnavailable:
        return OwnerUnavailable(
            f"this user (uid {os.geteuid()}) may not ask the config owner at {line(self.address)}: ask as the server's "
            "user, as its workers', or as root"
        )

    def _check_owner(self) -> None:
        """Raise OwnerUnavailable if no owner listens, though its master will restart it."""
        master = self._master()
        if not self._nobody_listens or master is None:
            return
        unknown = "; it ended over what it was asked: whether that was done is unknown" if self._asked else ""
        raise OwnerUnavailable(
            f"the config owner of {self.name!r} is down; its master (process {master}) restarts it, after a pause of "
            "at most 30 s, and says why in its log; workers keep serving with the version they have" + unknown
        )

    def master(self) -> dict[str, Any] | None:
        """The owner's master: pid, uid, working directory and command; None if the address does not show it."""
        found = owner_dirs.parse(Path(self.address).parent)
        if found is None:
            return None
        place = {"working_directory": found.started_in(), "command": found.command()}
        return {"pid": found.master, "uid": found.user(), **place}

    def _master(self) -> int | None:
        """The pid of the living master that restarts this owner; None if there is none, or it is not known."""
        found = owner_dirs.parse(Path(self.address).parent)
        return found.master if found is not None and found.lives() else None


class OwnersToChooseFrom(OwnerUnavailable):
    """Several owners run, or none where one is meant: the text lists them, and so does `data`, for a program."""

    def __init__(self, text: str, found: list[OwnerDir]) -> None:
        from confcast.cli import listing  # imported here: few commands need it

        self.data = {"owners": listing.described(found)}
        super().__init__("\n".join([text, *listing.as_table(self.data["owners"], sys.stderr)]))


def find(options: argparse.Namespace, *, warns: bool = True) -> OwnerClient:
    """A client of the owner that options and environment mean. Raises OwnerUnavailable, which says how to choose.

    `warns`: log a warning if, of several owners, the one is taken whose master was started in the working directory.
    """
    if options.pid is not None:
        from confcast.cli import members  # imported here: most commands have no use for it

        return _only(members.owners_of(options.pid, options.name), f"of the process {options.pid}")
    if options.address:
        return OwnerClient(options.address, _name_there(options.address, options.name))
    variable = _variable(options.name)
    if variable is None:
        return _only(_meant(options.name, warns), _named(options.name))
    address = os.environ[variable]
    if not is_name(address, options.name or _DEFAULT_NAME):
        return OwnerClient(address, _name_there(address, options.name))
    if options.name not in (None, address):
        raise OwnerUnavailable(f"{variable} names the config owner of {address!r}, and not of {options.name!r}")
    return _only(_meant(address, warns), _named(address))


def asked_without_options() -> OwnerClient | None:
    """The owner that a command without options asks; None if there is none, or a person has to choose."""
    try:
        return find(argparse.Namespace(pid=None, address=None, name=None), warns=False)
    except OwnerUnavailable:
        return None


def _named(name: str | None) -> str:
    return "" if name is None else f"named {name!r}"


def _variable(name: str | None) -> str | None:
    """The environment variable that says where the owner is; None if none does.

    Without a name, it is that of the default name, else the only one: in a server's process, its own. Raises
    OwnerUnavailable if there are several.
    """
    variable = address_variable(name or _DEFAULT_NAME)
    if os.environ.get(variable):
        return variable
    others = {} if name else {each: os.environ[each] for each in sorted(os.environ) if each.startswith(_VARIABLES)}
    others = {each: value for each, value in others.items() if value}
    if len(set(others.values())) > 1:
        text = f"{', '.join(others)} name config owners; choose one by --name, --pid or --address:"
        raise OwnersToChooseFrom(text, [each for value in others.values() for each in _there(value)])
    return next(iter(others), None)


def _there(value: str) -> list[OwnerDir]:
    """The owners that a variable with this value means, as far as a folder's name shows it."""
    if is_name(value, ""):
        return _meant(value, warns=False)
    found = owner_dirs.parse(Path(value).parent)
    return [] if found is None else [found]


def _meant(name: str | None, warns: bool) -> list[OwnerDir]:
    """The owners that this name (None: no name) means. Root's own owners come before other users'.

    If a place is named for one server, as in a service, another user's owner elsewhere is never meant.
    """
    of_others = owner_dirs.of_other_users(name)
    if any(owner_dirs.named()):  # the owner in it is the service's, which runs as its own user
        of_others = owner_dirs.in_named_places(of_others)
    for found in (owner_dirs.living(name=name), of_others):
        if meant := owner_dirs.meant(name, found):
            loading = owner_dirs.loading(name, found)
            if warns and len(meant) == 1 < len(loading) and owner_dirs.is_here(meant[0]):
                text = "of %d config owners, %r at %s is asked: its master (process %d) was started here"
                _log.warning(text, len(loading), meant[0].label, meant[0].address, meant[0].master)
            return meant
    return []


def _only(found: list[OwnerDir], which: str) -> OwnerClient:
    """A client of the only owner in `found`. Raises OwnerUnavailable if there is none, or more than one."""
    if len(found) == 1:
        return OwnerClient(found[0].address, found[0].label)
    raise _several(found, which) if found else _none(which)


def _name_there(address: str, asked: str | None) -> str:
    """The configuration's name by the owner's folder. Raises OwnerUnavailable if another name was asked for."""
    there = owner_dirs.parse(Path(address).parent)
    if asked is not None and there is not None and there.label != owner_dirs.label(asked):
        raise OwnerUnavailable(f"the config owner at {line(address)} is that of {there.label!r}, and not of {asked!r}")
    return asked or (there.label if there is not None else _DEFAULT_NAME)


def _none(which: str) -> OwnerUnavailable:
    variable = next((each for each in owner_dirs.OF_ONE_SERVER if os.environ.get(each)), None)
    elsewhere = owner_dirs.loading(None, owner_dirs.living())
    if not which and variable is not None and elsewhere:
        place = line(str(next(owner_dirs.named())))
        count = "1 config owner runs" if len(elsewhere) == 1 else f"{len(elsewhere)} config owners run"
        text = (
            f"no config owner runs in {place}, which {variable} names; {count} elsewhere; "
            "choose one by --name, --pid or --address:"
        )
        return OwnersToChooseFrom(text, elsewhere)
    missed = "one whose CONFCAST_RUNTIME_DIR is not set here is found by --address only"
    if os.geteuid() != 0:
        where = f"for this user (uid {os.geteuid()})"
    elif variable is None:
        where = "for any user"
    else:
        where = f"for root, nor for another user in {line(str(next(owner_dirs.named())))}, which {variable} names"
        missed = "other users' elsewhere are asked by --pid or --address only"
    return OwnerUnavailable(
        f"no config owner{which and ' '}{which} runs {where}: start the server, or give --address; {missed}"
    )


def _several(found: list[OwnerDir], which: str) -> OwnerUnavailable:
    how = "--name, --pid or --address" if len({each.label for each in found}) == len(found) else "--pid or --address"
    whom = "" if any(each.user() != os.geteuid() for each in found) else " for this user"
    text = f"{len(found)} config owners{which and ' '}{which} run{whom}; choose one by {how}:"
    return OwnersToChooseFrom(text, found)


def _not_empty(text: str) -> str:
    """Refuse an empty text: an unset variable in a script would mean whichever owner is the only one that runs."""
    if not text:
        raise argparse.ArgumentTypeError("is empty: say which owner is meant, or leave the option out")
    return text
