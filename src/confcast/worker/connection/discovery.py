"""Where the owner of one configuration is, from one loss to the next.

An address is one owner's, and ends with it: a full reload and a restart of the server make new ones. What was given to
`attach()` means the server, and lasts. While the master lives and its owner is not followed by another, that address is
knocked at; else the next owner is, in this order, by what is left of the former one:

1. the same master's newer generation,
2. an owner of the same name that loads the same, in the same working directory,
3. one that loads the same,
4. one in the same working directory that loads a file of the same, as after a deploy that adds a source,
5. for a process that attached by name: the one that the command line would take.

Guarantees: of several in one rank none is taken, and that is said; one that has refused this process is not asked
again; the schema's fingerprint in the Hello has the last word. A process that the master has started stays with the
owner that it began with, and follows its own master only: when that is dead, it is about to end.

Rejected: any owner of that name (the test server of the same user would get the scheduler of the other one), and moving
on as soon as there is a newer generation (nobody tells; it would take a look every few seconds in every worker).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from confcast.errors import ConfcastError
from confcast.wire import processes
from confcast.wire.address import is_name
from confcast.wire.files import about, owner_dirs
from confcast.wire.files.about import About
from confcast.wire.files.owner_dirs import OwnerDir

_known: dict[str, About] = {}
"""What owners have told of their servers, by their addresses: for who attaches again, after a fork or a `close()`."""
_MOST_KNOWN = 64


class OwnerFinder:
    """For one link, and its reading thread; `address` may be read in any.

    Args:
        name: The configuration's.
        given: A control socket, or the name again.

    Attributes:
        address: The control socket of the owner that serves this process, or did last; "" before one was found.
        beside: This process is none that the owner's master has started.
        ambiguity: Which owners could be meant, in words, where nobody but a person can choose one; else "".

    Raises:
        ConfcastError: What was given is neither.
    """

    def __init__(self, name: str, given: str) -> None:
        self._name = name
        self._by_name = is_name(given, name)
        if self._by_name and given != name:
            raise ConfcastError(
                f"{given!r} is no address of a config owner: give the path of its control socket, or {name!r}, the "
                "replica's name"
            )
        self._refused: set[Path] = set()
        self._here: OwnerDir | None = None
        self._told: dict[str, About] = {}  # by the owner that was heard last
        self.ambiguity = ""
        self.beside = True
        self.address = ""
        if not self._by_name:
            self.move(given)

    def move(self, address: str) -> None:
        """This is the owner from now on."""
        self.address = address
        self._here = here = owner_dirs.parse(Path(address).parent)
        me = os.getpid()
        self.beside = here is not None and here.master not in (me, *processes.parents(me))

    def remember(self, address: str) -> None:
        """The owner at this address has said something, so what it tells of its server is there; later it may be gone.

        To be called before anybody hears of what it said: who does may end the server at once.
        """
        told = about.load(Path(address).parent)
        if told is not None:
            self._told = {address: told}
            _keep(address, told)

    def find(self) -> str:
        """The address to knock at now; "" where there is none, and `trouble()` says why."""
        self.ambiguity = ""
        if self.address and not self._is_over(self._here):
            return self.address
        found = self._next()
        return found.address if found is not None else self.address

    def refuse(self, address: str) -> None:
        """The owner at this address does not serve this process: it is not asked again."""
        if len(self._refused) >= owner_dirs.MOST:
            self._refused = {path for path in self._refused if _is_there(path)}
        self._refused.add(Path(address).parent)

    def trouble(self) -> str:
        """Why nobody answers at the address to knock at, in words; "" where an owner is, or will be again."""
        if self.ambiguity or (self.address and not self._is_over(self._here)):
            return self.ambiguity
        if self._by_name:
            return f"no config owner named {self._name!r} runs for this user (uid {os.geteuid()})"
        return f"there is no config owner at {self.address}, nor one that has taken its place"

    # ---- the next one

    def _is_over(self, here: OwnerDir | None) -> bool:
        """Whether another owner is meant by now. One that died is started again at its address, by its master."""
        return here is not None and (not _is_there(here.path) or (self.beside and _is_followed(here)))

    def _next(self) -> OwnerDir | None:
        place = [self._here.path.parent] if self._here is not None else []  # may be in the server's environment only
        found = [each for each in owner_dirs.living(*place, name=self._name) if self._may_be(each)]
        for rank in self._ranks():
            fitting = rank(found)
            if len(fitting) > 1:
                places = ", ".join(f"{each.address} ({each.started_in() or 'somewhere'})" for each in fitting)
                self.ambiguity = f"{len(fitting)} config owners could be meant: {places}; attach to one by its address"
                return None
            if fitting:
                return fitting[0]
        return None

    def _ranks(self) -> list[Callable[[list[OwnerDir]], list[OwnerDir]]]:
        here, mine = self._here, self._told.get(self.address) or _known.get(self.address)
        ranks: list[Callable[[list[OwnerDir]], list[OwnerDir]]] = []
        if here is not None:
            ranks.append(lambda found: [each for each in found if each.server == here.server])
        if here is not None and not (self.beside and _is_followed(here)):  # its master makes it anew
            return ranks
        if mine is not None:
            ranks += [
                lambda found: _fitting(found, lambda its: _loads_same(its, mine) and _is_in_same(its, mine)),
                lambda found: _fitting(found, lambda its: _loads_same(its, mine)),
                lambda found: _fitting(found, lambda its: _shares_a_file(its, mine) and _is_in_same(its, mine)),
            ]
        if self._by_name:
            ranks.append(lambda found: owner_dirs.meant(self._name, found))
        return ranks

    def _may_be(self, each: OwnerDir) -> bool:
        if each.label != owner_dirs.label(self._name) or each.address == self.address or each.path in self._refused:
            return False
        told = about.load(each.path)
        return not each.is_left() and (told is None or told.name == self._name)


def refuse_root(address: str) -> None:
    """Root asks, and attaches nowhere but at its own owners: what a worker leaves in the folder would be root's.

    Raises:
        ConfcastError: This is root, and the owner at this address is another user's.
    """
    found = owner_dirs.parse(Path(address).parent)
    user = found.user() if found is not None else -1
    if os.geteuid() == 0 and user > 0:
        raise ConfcastError(
            f"root may ask the config owner at {address}, and not attach to it: start this process as the server's "
            f"user (uid {user})"
        )


def _keep(address: str, told: About) -> None:
    """The newest few."""
    global _known
    # Any replica's thread may be here at the same time: a new table is set in one step. A lock could be held at a fork.
    others = [each for each in list(_known.items()) if each[0] != address]
    _known = dict([*others[1 - _MOST_KNOWN :], (address, told)])


def _is_followed(here: OwnerDir) -> bool:
    """Whether its master makes no more owners there: it is dead, or has a newer generation, or an upgrade."""
    return not here.lives() or here.is_left()


def _fitting(found: list[OwnerDir], fits: Callable[[About], bool]) -> list[OwnerDir]:
    told = [(each, about.load(each.path)) for each in found]
    return [each for each, its in told if its is not None and fits(its)]


def _loads_same(its: About, mine: About) -> bool:
    return its.loads == mine.loads


def _shares_a_file(its: About, mine: About) -> bool:
    return not set(its.files).isdisjoint(mine.files)


def _is_in_same(its: About, mine: About) -> bool:
    return its.working_directory == mine.working_directory


def _is_there(folder: Path) -> bool:
    """Also where this user may not look any more: the knock at it says so. Python 3.14's `exists()` doesn't."""
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # gone, or no path
        return False
    except OSError:
        return True
    return True
