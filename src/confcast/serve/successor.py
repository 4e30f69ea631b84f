"""The side of a take-over that replaces: it asks the former to pause, starts its own owner, and says that it serves.

Guarantee: whatever the other process does, this one either serves in its place, or has raised, and then the other one
serves as before. `succession.py` says how.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from confcast.errors import ConfcastError, OwnerUnavailable
from confcast.log_fields import about
from confcast.serve.address_link import AddressRefused
from confcast.serve.succession import (
    PROTOCOL,
    Message,
    Moved,
    Noted,
    Paused,
    Pipe,
    Refused,
    Serves,
    TakeOver,
    connected,
)
from confcast.texts import printable
from confcast.wire import processes
from confcast.wire.files import owner_dirs
from confcast.wire.files.owner_dirs import FORMER, TAKE_OVER, OwnerDir

_log = logging.getLogger("confcast.serve")

_CONNECTS_WITHIN = 5.0
_SAID_AFTER = 5.0
_PAUSES_WITHIN = 300.0
"""Seconds for the former's pause: a reload that is under way there ends first, by deadlines of its own."""
_MOVES_WITHIN = 30.0
_ENDS_WITHIN = 15.0
"""Seconds for what the former ends once it is superseded, and for a former that ends by itself just now."""
_COME_WITHIN = 5.0
"""Seconds for which workers that follow are awaited on the roster. Those that take longer come later."""
_PAUSE = 0.02


_GOES_ON = "the `confcast serve` that was to be replaced does not answer, and goes on"
_ANOTHER_USER = (
    "process {} has the config owner there, as another user (uid {}) than this one (uid {}): what it would hand over "
    "is not taken from another user; take over as its user"
)


class Superseded(ConfcastError):
    """The former has given its place to another one already: look at the address again."""


class Place:
    """The place that is taken over, or is free by now.

    Args:
        pipe: To the former; None if that is dead.
        folder: The former's runtime directory.
        address: The former's lasting address, or "".

    Attributes:
        is_free: Whether the former has died meanwhile, so that the address has to be taken like any other one.
        is_taken: Whether the former has given way.
    """

    def __init__(self, pipe: Pipe | None, folder: Path, address: str) -> None:
        self._pipe = pipe
        self.folder, self.address = folder, address
        self.is_free = pipe is None
        self.is_taken = False

    def hand_over(
        self,
        folder: Path,
        workers: Callable[[], list[int]],
        expect: Callable[[list[int]], object] = lambda pids: None,
    ) -> None:
        """Tell the former that this process's owner serves in this folder, and wait until it has given way.

        Args:
            folder: The runtime directory.
            workers: Returns the pids of the workers that have come.
            expect: Called with the pids of those that are to come, as soon as the address leads here.

        Raises:
            AddressRefused: The former goes on: it waited no longer, or can't move the address.
        """
        if self._pipe is None:
            return
        with contextlib.suppress(OSError):
            (folder / FORMER).symlink_to(self.folder)
        moved = self._ask_to_move(self._pipe, folder)
        if moved is None:
            if not _await_end(self.folder):
                raise AddressRefused(_GOES_ON)
            self.is_free = True
            return
        self.is_taken = True
        if moved.follow:
            expect(moved.workers)
        with contextlib.suppress(OSError, ConfcastError):
            self._pipe.send(Noted())
            self._pipe.receive(_ENDS_WITHIN)
        self._log_workers(moved, workers)

    def _ask_to_move(self, pipe: Pipe, folder: Path) -> Moved | None:
        """The former's answer; None if it is dead."""
        try:
            pipe.send(Serves(str(folder)))
            answer = pipe.receive(_MOVES_WITHIN)
        except (TimeoutError, ConfcastError):
            raise AddressRefused(_GOES_ON) from None
        except OSError:
            answer = None
        if isinstance(answer, Refused):
            raise AddressRefused(f"the `confcast serve` that was to be replaced goes on: {printable(answer.reason)}")
        return answer if isinstance(answer, Moved) else None

    def _log_workers(self, moved: Moved, present: Callable[[], list[int]]) -> None:
        if not moved.follow:
            if stays := len(moved.workers):
                text = "%d workers have another schema: the former owner serves them, with the version that they have"
                _log.info(text, stays, extra=about("workers_stay", workers=moved.workers))
            return
        if not moved.workers:
            return
        deadline = time.monotonic() + _COME_WITHIN
        missing = {*moved.workers}
        with contextlib.suppress(OwnerUnavailable):  # it was stopped or killed just now; nobody else serves any more
            while (missing := {*filter(processes.is_alive, missing)} - {*present()}) and time.monotonic() < deadline:
                time.sleep(_PAUSE)
        came = len(moved.workers) - len(missing)
        later = f"; awaited still: {', '.join(map(str, sorted(missing)))}" if missing else ""
        fields = about("workers_followed", workers=moved.workers, awaited=sorted(missing))
        _log.info("%d of %d workers have come along%s", came, len(moved.workers), later, extra=fields)


@contextlib.contextmanager
def place_of(former: OwnerDir, within: float) -> Iterator[Place]:
    """Have the `confcast serve` of this folder pause for the block; it goes on afterwards, unless it has handed over.

    Args:
        former: Its runtime directory.
        within: Seconds in which this process will serve, or have given up.

    Raises:
        AddressRefused: It does not give its place away, or is no `confcast serve`.
        Superseded: It has given its place to another one just now.
    """
    if former.user() not in (os.geteuid(), -1):
        raise AddressRefused(_ANOTHER_USER.format(former.master, former.user(), os.geteuid()))
    with contextlib.ExitStack() as stack:
        try:
            pipe = stack.enter_context(connected(f"{former.path}/{TAKE_OVER}", _CONNECTS_WITHIN))
        except OSError as error:
            has_ended = isinstance(error, ConnectionRefusedError) and _await_end(former.path)
            if not has_ended and _is_there(former):
                raise _no_serve(former, error) from None
            yield Place(None, former.path, "")  # it has just ended
            return
        yield _paused(pipe, former, within)


def _paused(pipe: Pipe, former: OwnerDir, within: float) -> Place:
    try:
        pipe.send(TakeOver(PROTOCOL, within))
        answer = _awaited(pipe, former)
    except (TimeoutError, ConfcastError):
        raise AddressRefused(f"process {former.master} does not answer: it can't be taken over") from None
    except OSError:
        answer = None
    if isinstance(answer, Refused):
        if answer.superseded:
            raise Superseded(f"process {former.master} was taken over just now")
        raise AddressRefused(f"process {former.master} can't be taken over: {printable(answer.reason)}")
    if not isinstance(answer, Paused):
        if not _await_end(former.path):
            raise AddressRefused(f"process {former.master} has heard nothing, and goes on: try again")
        return Place(None, former.path, "")
    return Place(pipe, Path(answer.folder), answer.address)


def _awaited(pipe: Pipe, former: OwnerDir) -> Message | None:
    """The former's answer to the question; that it takes long is logged. Raises as `Pipe.receive`."""
    try:
        return pipe.receive(_SAID_AFTER)
    except TimeoutError:
        text = "process %d does not answer yet: it is busy, or was stopped; it is waited for, up to %d s"
        fields = about("former_awaited", pid=former.master, seconds=_PAUSES_WITHIN)
        _log.warning(text, former.master, _PAUSES_WITHIN, extra=fields)
        return pipe.receive(_PAUSES_WITHIN - _SAID_AFTER)


def _await_end(folder: Path) -> bool:
    """Wait for the end of a former that has ended the pipe, or listens no more. Returns whether it came in time.

    Such a process is dead, or ends: it gives its address back, and has its owner exit and remove the folder.
    """
    former = owner_dirs.parse(folder)
    deadline = time.monotonic() + _ENDS_WITHIN
    while former is not None and _is_there(former):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE)
    return True


def _is_there(former: OwnerDir) -> bool:
    return former.lives() and former.path.exists()


def _no_serve(former: OwnerDir, error: OSError) -> AddressRefused:
    command = f" ({printable(former.command())})" if former.command() else ""
    return AddressRefused(
        f"process {former.master}{command} has the config owner there, and can't be taken over: it is no `confcast "
        f"serve` of this user, or its folder was cleaned up ({error.strerror or error})"
    )
