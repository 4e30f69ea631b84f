"""One replica's time with an owner: the codec, the machine and the link, from `attach()` to `close()`.

It builds what comes over the pipe, asks the application's `precommit` functions, and explains in words why a process
can't be served. Rejected: keeping this in the replica (whoever reads how a value is read need not see how it came).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from confcast.config.codec import codec_of, digest
from confcast.errors import (
    ConfcastError,
    NotAttached,
    OwnerUnavailable,
    Problem,
    ProtocolError,
    first_of,
)
from confcast.texts import printable
from confcast.wire.files.snapshot_file import Saved
from confcast.wire.messages import Answer, Refused, Request, Working
from confcast.wire.signal_mask import application_signals
from confcast.worker.connection.discovery import refuse_root
from confcast.worker.connection.link import Link
from confcast.worker.connection.machine import CannotBuild, Held, Machine, Terminate
from confcast.worker.connection.mask_text import masker
from confcast.worker.connection.mutation_check import guard
from confcast.worker.connection.schema_mismatch import mismatch
from confcast.worker.observers.delivery import Pair
from confcast.worker.observers.dispatcher import Observers
from confcast.worker.precommit import path_of, refusals
from confcast.worker.snapshot import Snapshot

_log = logging.getLogger("confcast.worker")

T = TypeVar("T")


class Provider(Protocol):
    """What a replica needs of whatever gives it its value: an attachment, or an override."""

    @property
    def address(self) -> str:
        """The control socket; empty where there is none."""

    @property
    def connected(self) -> bool:
        """Whether there is a pipe to a living owner."""

    def is_at(self, address: str) -> bool:
        """Whether it belongs to the owner at this address, or to one that has taken its place."""

    @property
    def answers_within(self) -> float:
        """Seconds in which the owner answers a reload; 0: not known."""

    def ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        """Send a request; None when no answer came in time."""

    def close(self) -> None:
        """End it."""

    def after_fork(self) -> None:
        """In a forked child."""

    def set_aside(self, snapshot: Snapshot[Any]) -> bool:
        """Whether it keeps what comes from the owner, instead of the replica."""


class Attachment(Generic[T]):
    """The link's holder.

    Args:
        name: The configuration's name.
        schema: The user's type. Raises NotCarried when it has fields that can't be carried.
        address: The control socket; or the name once more, to look for the owner.
        held: What the process holds already.
        checks: The `precommit` functions; read at each vote.
        observers: Told of swaps and settlings.
        take: Puts a snapshot in its place.
        timeout: Seconds that `await_first` will wait, for the snapshot file's sake.
    """

    def __init__(
        self,
        name: str,
        schema: type[T],
        address: str,
        held: Snapshot[T] | None,
        checks: list[Callable[[Any, Any], Any]],
        observers: Observers,
        take: Callable[[Snapshot[T]], None],
        timeout: float,
    ) -> None:
        refuse_root(address)
        self._name = name
        self._given = address
        self._codec = codec_of(schema)
        self._checks = checks
        self._observers = observers
        self._take = take
        self._guard = guard(name, self._codec)
        self._terminated: Terminate | None = None
        self._closed = False
        self._arrived = threading.Event()
        self._machine = machine = Machine(self._build, self._check, observers.follow_settlings)
        self._holds = held is not None
        if held is not None:
            machine.adopt(Held(held.version, held.digest, held.config))
            if self._guard is not None:
                self._guard.comes(held.config, held.digest)
        self._link = Link(address, name, self._codec.fingerprint, machine, self, self._open_saved, timeout)
        observers.record.report_to(self._link.report)

    def open(self, timeout: float) -> None:
        """Start the link, and wait for the owner's version. Raises as `Replica.attach` says; then it is closed again.

        A process that holds a version already (from before a fork or a `close()`) serves no request with it while an
        owner could give a newer one; where none answers within a second, it goes on with what it holds.
        """
        try:
            self._link.start()
            arrived = self._arrived.wait(timeout)
            if self._closed:
                raise NotAttached(f"replica {self._name!r} was closed while it was being attached")
            if self._terminated is not None or not (arrived or self._holds):
                raise self._explain(timeout)
        except BaseException:  # a KeyboardInterrupt too must leave no thread behind, and nobody on the roster
            self._end()
            raise
        self._arrived.set()

    @property
    def address(self) -> str:
        """The control socket."""
        return self._link.address

    @property
    def connected(self) -> bool:
        """Whether there is a pipe to a living owner."""
        return self._link.connected

    def is_at(self, address: str) -> bool:
        """Whether it was attached to the owner at this address, or is by now."""
        return address in (self._given, self._link.address)

    @property
    def answers_within(self) -> float:
        """Seconds in which the owner answers a reload, as it has said; 0: it has not."""
        return self._machine.answers_within

    def ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        """Send a request over the pipe; None when no answer came in time."""
        return self._link.ask(make, timeout)

    def close(self) -> None:
        """Leave the roster and end the threads. Nobody waits for the first version, or the next one, any more."""
        self._closed = True
        self._end()
        self._arrived.set()
        self._observers.replica_closed()

    def after_fork(self) -> None:
        """In a forked child: the pipe and the threads are the parent's."""
        self._link.after_fork()

    def set_aside(self, snapshot: Snapshot[Any]) -> bool:
        """The replica takes it."""
        return False

    def _end(self) -> None:
        self._link.close()
        self._observers.close()

    # ---- what the link tells, in the reading thread

    def swapped(self, old: Held | None, new: Held) -> None:
        """The newest from now on."""
        snapshot = Snapshot(new.config, new.version, new.digest)
        if self._guard is not None:
            self._guard.goes()
            self._guard.comes(new.config, new.digest)
        self._observers.swapped(lambda: self._take(snapshot), old.config if old is not None else None, new.config)
        self._let_go_on()

    def renumbered(self, new: Held) -> None:
        """The same content, with a new number."""
        self._take(Snapshot(new.config, new.version, new.digest))

    def caught_up(self) -> None:
        """What is held is what the owner gives."""
        self._let_go_on()

    def settled(self, held: Held) -> None:
        """Everyone who is not named has it."""
        self._observers.settled(held.config)

    def report_observers(self, number: int) -> None:
        """How they stand, to an owner that asks."""
        self._observers.record.ask(number)

    def terminated(self, why: Terminate) -> None:
        """No more versions will come. Whoever waits in `open` raises; later it can only be logged."""
        self._terminated = why
        if self._arrived.is_set():
            _log.error("%s; this process keeps what it has", self._explain(0.0))
        self._arrived.set()

    def next_owner_refused(self, address: str, refused: Refused) -> None:
        """Another application's owner may have the same name, and the next owner of this one another schema."""
        why = self._refusal(refused, address)
        _log.error("the config owner at %s is not followed: %s; this process keeps what it has", address, why)

    def _let_go_on(self) -> None:
        """Whoever waits in `open`. Asked first: to set an event takes as long as to make a small configuration."""
        if not self._arrived.is_set():
            self._arrived.set()

    # ---- what the machine needs

    def _build(self, payload: bytes) -> T:
        try:
            return self._codec.decode(payload)
        except ProtocolError as error:
            raise CannotBuild(Problem("", f"can't be decoded: {error}")) from None
        except BaseException as error:  # a no that names this worker; its text may show values
            raise CannotBuild(Problem("", f"can't be decoded: {type(error).__name__}")) from None

    def _check(self, round_: int, old: T, new: T) -> tuple[Problem, ...]:
        asked = Pair(old, new)
        del old, new  # what an application's function logs may be sent with the variables of the frames below it
        problems: list[Problem] = []
        for function in list(self._checks):
            self._link.send(Working(round_, path_of(function)))  # first: what reports is not timed out
            try:
                with application_signals():
                    asked.tell(function)
            except BaseException as error:  # sys.exit(), a cancelled task, a green timeout: a no like any other
                problems += self._refusals(function, error, asked)
        return tuple(first_of(problems))

    def _refusals(self, function: Callable[[Any, Any], Any], error: BaseException, asked: Pair) -> list[Problem]:
        """It goes into events, logs and the history: an application's text may show what must not be shown."""
        return refusals(function, error, masker(self._codec.schema, type(error).__name__, asked.old, asked.new))

    def _open_saved(self, saved: Saved) -> T | None:
        if saved.schema != self._codec.fingerprint or digest(saved.payload) != saved.digest:
            _log.warning("the snapshot file is torn or of another schema; waiting for the config owner")
            return None
        try:
            return self._codec.decode(saved.payload)
        except ProtocolError as error:
            _log.warning("the snapshot file can't be used: %s", error)
            return None

    # ---- why not, in words

    def _explain(self, timeout: float) -> ConfcastError:
        why = self._terminated
        if why is None:
            trouble = self._link.trouble or "the config owner does not answer"
            return OwnerUnavailable(f"no version of {self._name!r} came within {timeout:g} s: {trouble}")
        if why.refused is None:
            problems = "; ".join(map(str, why.problems))
            return ConfcastError(f"the committed configuration of {self._name!r} can't be used here: {problems}")
        return self._refusal(why.refused, self._link.address)

    def _refusal(self, refused: Refused, address: str) -> ConfcastError:
        if refused.fields:
            return mismatch(self._name, self._codec, refused.fields, address)
        return ConfcastError(f"the config owner of {self._name!r} refuses this process: {printable(refused.reason)}")
