"""The config owner that a caller from outside means: the command line, and the public `Client`.

An address, or the pid of any process of the server or of a child of one, says which; without them
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

import logging
import os
from collections.abc import Callable
from typing import NamedTuple

from confcast.errors import OwnerUnavailable
from confcast.log_fields import about
from confcast.texts import printable
from confcast.wire.address import address_variable, is_name
from confcast.wire.files import lasting_address, owner_dirs
from confcast.wire.files.owner_dirs import OwnerDir

_log = logging.getLogger("confcast.worker")

_DEFAULT_NAME = "app"
_VARIABLES = address_variable("")

Words = Callable[[str], str]
"""How a caller writes the argument of this name: `--pid` in a shell, `pid=` in Python."""


class Place(NamedTuple):
    """Where an owner is.

    Attributes:
        address: The path of its control socket.
        name: The configuration's name.
    """

    address: str
    name: str


class SeveralOwners(OwnerUnavailable):
    """Several owners run, or none where one is meant: the text lists them, and what to type for each.

    Attributes:
        reason: The first line of the text.
        found: The owners.
        none_is_meant: Whether the one that is meant does not run, and may come; else a person has to choose.
    """

    def __init__(self, reason: str, found: list[OwnerDir], *, none_is_meant: bool = False) -> None:
        self.reason, self.found, self.none_is_meant = reason, found, none_is_meant
        super().__init__(reason)

    def __str__(self) -> str:
        from confcast.worker.client import known_owners  # imported here: the command line mostly has no use for it

        return "\n".join([self.reason, *known_owners.as_lines(self.found)])


def as_argument(name: str) -> str:
    """How Python has an argument of this name."""
    return f"{name}="


def find(
    name: str | None = None,
    *,
    address: str | None = None,
    pid: int | None = None,
    warns: bool = True,
    words: Words = as_argument,
) -> Place:
    """The owner that these arguments and the environment mean. Asks owners only to find that of a process.

    Args:
        name: The configuration's name; None for any.
        address: The path of the control socket.
        pid: A process of the server, or one below it; not with `address`.
        warns: Log a warning if, of several owners, the one is taken whose master was started in the working directory.
        words: How errors name these arguments.

    Raises:
        OwnerUnavailable: There is none, or there are several; it says how to choose.
    """
    if pid is not None:
        from confcast.worker.client import members  # imported here: most callers have no use for it

        return _only(members.owners_of(pid, name), f"of the process {pid}", words)
    if address:
        return Place(address, _name_there(address, name))
    variable = _variable(name, words)
    if variable is None:
        return _only(_meant(name, warns), _named(name), words)
    address = os.environ[variable]
    if not is_name(address, name or _DEFAULT_NAME):
        return Place(address, _name_there(address, name))
    if name not in (None, address):
        raise OwnerUnavailable(f"{variable} names the config owner of {address!r}, and not of {name!r}")
    if found := _meant(address, warns):
        return _only(found, _named(address), words)
    by = f"by {variable}; a path would have a slash, as ./{printable(address)}"
    raise _none(f"{_named(address)} ({by})", words)


def _named(name: str | None) -> str:
    return "" if name is None else f"named {name!r}"


def _variable(name: str | None, words: Words) -> str | None:
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
        text = f"{', '.join(others)} name config owners; {_choose(words)}"
        raise SeveralOwners(text, [each for value in others.values() for each in _there(value)])
    return next(iter(others), None)


def _choose(words: Words, by: tuple[str, ...] = ("name", "pid", "address")) -> str:
    *most, last = map(words, by)
    return f"choose one by {', '.join(most)} or {last}:"


def _there(value: str) -> list[OwnerDir]:
    """The owners that a variable with this value means, as far as a folder's name shows it."""
    if is_name(value, ""):
        return _meant(value, warns=False)
    found = lasting_address.owner_at(value)
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
            if warns and len(meant) == 1 < (several := len(owner_dirs.eligible(name, found))):
                text = "of %d config owners, %r at %s is asked: its master (process %d) was started here"
                _log.warning(
                    text,
                    several,
                    meant[0].label,
                    meant[0].address,
                    meant[0].master,
                    extra=about("several_owners", name=meant[0].label, address=meant[0].address),
                )
            return meant
    return []


def _only(found: list[OwnerDir], which: str, words: Words) -> Place:
    """The place of the only owner in `found`. Raises OwnerUnavailable if there is none, or more than one."""
    if len(found) == 1:
        return Place(found[0].address, found[0].label)
    raise _several(found, which, words) if found else _none(which, words)


def _name_there(address: str, asked: str | None) -> str:
    """The configuration's name by the owner's folder. Raises OwnerUnavailable if another name was asked for."""
    there = lasting_address.owner_at(address)
    if asked is not None and there is not None and there.label != owner_dirs.label(asked):
        raise OwnerUnavailable(
            f"the config owner at {printable(address)} is that of {there.label!r}, and not of {asked!r}"
        )
    return asked or (there.label if there is not None else _DEFAULT_NAME)


def _none(which: str, words: Words) -> OwnerUnavailable:
    variable = next((each for each in owner_dirs.OF_ONE_SERVER if os.environ.get(each)), None)
    elsewhere = owner_dirs.loading(None, owner_dirs.living())
    if not which and variable is not None and elsewhere:
        place = printable(str(next(owner_dirs.named())))
        count = "1 config owner runs" if len(elsewhere) == 1 else f"{len(elsewhere)} config owners run"
        text = f"no config owner runs in {place}, which {variable} names; {count} elsewhere; {_choose(words)}"
        return SeveralOwners(text, elsewhere, none_is_meant=True)
    missed = f"one whose CONFCAST_RUNTIME_DIR is not set here is found by {words('address')} only"
    if os.geteuid() != 0:
        where = f"for this user (uid {os.geteuid()})"
    elif variable is None:
        where = "for any user"
    else:
        where = f"for root, nor for another user in {printable(str(next(owner_dirs.named())))}, which {variable} names"
        missed = f"other users' elsewhere are asked by {words('pid')} or {words('address')} only"
    text = f"no config owner{which and ' '}{which} runs {where}: start the server, or give {words('address')}; {missed}"
    if not elsewhere:
        return OwnerUnavailable(text)
    return SeveralOwners(f"{text}. What runs here:", elsewhere, none_is_meant=True)


def _several(found: list[OwnerDir], which: str, words: Words) -> OwnerUnavailable:
    differ = len({each.label for each in found}) == len(found)
    whom = "" if any(each.user() != os.geteuid() for each in found) else " for this user"
    how = _choose(words, ("name", "pid", "address") if differ else ("pid", "address"))
    return SeveralOwners(f"{len(found)} config owners{which and ' '}{which} run{whom}; {how}", found)
