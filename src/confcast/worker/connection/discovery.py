"""Finding the owner of one configuration, and its next owner when it is gone for good.

A control socket ends with its owner: a full reload and a restart of the server make new ones. The argument of
`attach()` means the server, which outlives them. While the master lives and has no newer generation, its owner's
address is tried; else the next owner's is, found by what the former one wrote about its server, in this order:

1. the same master's newer generation,
2. an owner of the same name that loads the same sources, in the same working directory,
3. an owner that loads the same sources,
4. an owner in the same working directory that loads one of the files, as after a deploy that adds a source,
5. for a process that attached by name: the owner that the command line would take.

A lasting address (`wire/files/lasting_address.py`) means whatever owner it leads to: at each connect that one is tried,
and no other application's is ever looked for. An owner there that does not serve this process, because its schema is
another one, may have left a former generation to serve; then that one is tried.

Guarantees: if several owners match one of these lines, none is taken, and the log names them; an owner that has refused
this process is not tried again; an owner with another schema's fingerprint refuses the Hello. A process that the master
has started follows its own master only: when that is dead, the process will end soon.

Rejected: any owner of that name (the test server of the same user would get the scheduler of the other one), and
following a newer generation at once (nothing reports one; every worker would have to look every few seconds).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from confcast.errors import ConfcastError
from confcast.texts import printable
from confcast.wire import processes
from confcast.wire.address import is_name
from confcast.wire.files import about, lasting_address, owner_dirs
from confcast.wire.files.about import About
from confcast.wire.files.owner_dirs import OwnerDir
from confcast.wire.listener import SOCKET

_known: dict[str, About] = {}
"""What owners wrote about their servers, by address: for replicas that attach again after a fork or `close()`."""
_MOST_KNOWN = 64


class OwnerFinder:
    """Finds one link's owner. Called in the link's reading thread; `address` may be read in any thread.

    Args:
        name: The configuration's name.
        given: A control socket, a lasting address, or the name again. Raises ConfcastError if it is none of these.

    Attributes:
        address: The control socket of the owner that serves this process, or did last; "" before one was found.
        beside: Whether this process was not started by the owner's master.
        ambiguity: Which owners could be meant, in words, where only a person can choose one; else "".
    """

    def __init__(self, name: str, given: str) -> None:
        self._name = name
        self._by_name = is_name(given, name)
        if self._by_name and given != name:
            raise ConfcastError(
                f"{given!r} is no address of a config owner: give the path of its control socket, with a slash "
                f"(./{printable(given)}), or {name!r}, the replica's name"
            )
        self._lasting = "" if self._by_name or not lasting_address.is_lasting(given) else given
        self._refused: set[Path] = set()
        self._here: OwnerDir | None = None
        self._written: dict[str, About] = {}  # by address, as the owner wrote it that sent a message last
        self.ambiguity = ""
        self.beside = True
        self.address = ""
        if not self._by_name:
            self.move(given)

    def move(self, address: str) -> None:
        """Treat the owner at this address as this process's own from now on."""
        self.address = address
        self._here = here = lasting_address.owner_at(address)
        self._folder = lasting_address.folder_of(address)
        me = os.getpid()
        self.beside = bool(self._lasting) if here is None else here.master not in (me, *processes.parents(me))

    def remember(self, address: str) -> None:
        """Keep what the owner at this address wrote about its server: its first message shows that it is there.

        Must be called before the message is handled: the application that sees its effect may end the server at once.
        """
        written = about.load(lasting_address.folder_of(address))
        if written is not None:
            self._written = {address: written}
            _keep(address, written)

    def find(self) -> str:
        """The address to connect to now; "" if there is none, and then `trouble()` says why."""
        self.ambiguity = ""
        if self._lasting:
            return next(self._led_to(), self.address)
        if self.address and not self._is_over():
            return self.address
        found = self._next()
        return found.address if found is not None else self.address

    def refuse(self, address: str) -> None:
        """Never return the address of this owner again: it does not serve this process."""
        if len(self._refused) >= owner_dirs.MOST:
            self._refused = {path for path in self._refused if _is_there(path)}
        self._refused.add(lasting_address.folder_of(address))

    def is_another(self, address: str) -> bool:
        """Whether this address leads to another owner than the one that serves this process, or did last."""
        return address != self.address or (bool(self._lasting) and lasting_address.folder_of(address) != self._folder)

    def has_another(self, address: str) -> bool:
        """Whether there is another owner to try, if the one at this address does not serve this process."""
        refusing = lasting_address.folder_of(address)
        others = self._led_to() if self._lasting else iter(())
        return any(lasting_address.folder_of(each) != refusing for each in others)

    def trouble(self) -> str:
        """Why no owner answers, in words; "" if one answers, or will answer again."""
        if self.ambiguity or (self.address and not self._is_over()):
            return self.ambiguity
        if self._lasting:
            return f"no config owner serves at {self._lasting}: `confcast serve --address {self._lasting}` starts one"
        if self._by_name:
            return f"no config owner named {self._name!r} runs for this user (uid {os.geteuid()})"
        return f"there is no config owner at {self.address}, nor one that has taken its place"

    # ---- the next owner

    def _is_over(self) -> bool:
        """Whether no owner will listen at `address` again. If just the owner died, its master starts another there."""
        here = self._here
        if self._lasting:
            return not Path(self._lasting).is_socket()
        return here is not None and (not _is_there(here.path) or (self.beside and _is_followed(here)))

    def _led_to(self) -> Iterator[str]:
        """Where the lasting address leads: to the present owner, and to former ones, but for those that have refused.

        What refuses by its schema is refused for as long as its folder is there, and tried no more.
        """
        present = lasting_address.control_socket(self._lasting)
        folder = lasting_address.folder_of(present)
        if folder not in self._refused:
            yield present
        for former in lasting_address.formers(folder):
            if former not in self._refused and _is_there(former):
                yield f"{former}/{SOCKET}"

    def _next(self) -> OwnerDir | None:
        here = self._here  # a folder that only the server's environment may name
        more = [here.path.parent] if here is not None else []
        found = [each for each in owner_dirs.living(*more, name=self._name) if self._may_be(each)]
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
        here, mine = self._here, self._written.get(self.address) or _known.get(self.address)
        ranks: list[Callable[[list[OwnerDir]], list[OwnerDir]]] = []
        if here is not None:
            ranks.append(lambda found: [each for each in found if each.server == here.server])
        if here is not None and not (self.beside and _is_followed(here)):  # the master makes the owner there anew
            return ranks
        if mine is not None:
            where, loads, files = mine.working_directory, mine.loads, set(mine.files)
            ranks += [
                lambda found: _fitting(found, lambda its: its.loads == loads and its.working_directory == where),
                lambda found: _fitting(found, lambda its: its.loads == loads),
                lambda found: _fitting(found, lambda its: files & set(its.files) and its.working_directory == where),
            ]
        if self._by_name:
            ranks.append(lambda found: owner_dirs.meant(self._name, found))
        return ranks

    def _may_be(self, each: OwnerDir) -> bool:
        if each.label != owner_dirs.label(self._name) or each.address == self.address or each.path in self._refused:
            return False
        written = about.load(each.path)
        return not each.is_superseded() and (written is None or written.name == self._name)


def refuse_root(address: str) -> None:
    """Raise ConfcastError if this is root and the owner another user's: root would own the worker's notes there."""
    found = lasting_address.owner_at(address)
    user = found.user() if found is not None else -1
    if os.geteuid() == 0 and user > 0:
        raise ConfcastError(
            f"root may ask the config owner at {address}, and not attach to it: start this process as the server's "
            f"user (uid {user})"
        )


def _keep(address: str, written: About) -> None:
    """Keep what this owner wrote about its server, and what the newest few others wrote."""
    global _known
    # Several replicas' threads may run this at once, so a new table is set in one step. A lock could be held at a fork.
    others = [each for each in list(_known.items()) if each[0] != address]
    _known = dict([*others[1 - _MOST_KNOWN :], (address, written)])


def _is_followed(here: OwnerDir) -> bool:
    """Whether the master makes no more owners there: it is dead, has a newer generation, or was upgraded."""
    return not here.lives() or here.is_superseded()


def _fitting(found: list[OwnerDir], fits: Callable[[About], object]) -> list[OwnerDir]:
    written = [(each, about.load(each.path)) for each in found]
    return [each for each, its in written if its is not None and fits(its)]


def _is_there(folder: Path) -> bool:
    """Whether the folder exists; True also if this user may not look there: connecting then raises the error.

    `Path.exists()` of Python 3.14 returns False in that case.
    """
    try:
        folder.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # gone, or no path
        return False
    except OSError:
        return True
    return True
