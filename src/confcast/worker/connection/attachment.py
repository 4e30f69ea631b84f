"""What an attached replica has from `attach()` to `close()`: the codec, the state machine and the link.

It builds the configurations that come over the pipe, calls the application's `precommit` functions, and explains in
words why a process can't be served. Rejected: keeping this in the replica (how a value is read does not depend on how
it came).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

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


class Attachment(Generic[T]):
    """A replica's provider while it is attached, and the listener of its link.

    Args:
        name: The configuration's name.
        schema: The user's type. Raises NotCarried when it has fields that can't be carried.
        address: The control socket; or the name again, by which the owner is looked for.
        held: What the process holds already.
        checks: The `precommit` functions; read at each vote.
        observers: Called for swaps and settlings.
        take: Makes a snapshot the replica's newest.
        timeout: Seconds that `open` will wait: the snapshot file is tried before they are over.
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
                self._guard.begin(held.config, held.digest)
        self._link = Link(address, name, self._codec.fingerprint, machine, self, self._open_saved, timeout)
        observers.record.report_to(self._link.report)

    def open(self, timeout: float) -> None:
        """Start the link, and wait for the owner's version. Raises as `Replica.attach` says; then the link is closed.

        A process that holds a version already (from before a fork or a `close()`) serves no request with it while an
        owner could give a newer one; where no owner answers within a second, the process goes on with what it holds.
        """
        try:
            self._link.start()
            arrived = self._arrived.wait(timeout)
            if self._closed:
                raise NotAttached(f"replica {self._name!r} was closed while it was being attached")
            if self._terminated is not None or not (arrived or self._holds):
                raise self._explain(timeout)
        except BaseException:  # a KeyboardInterrupt, too, must leave no thread behind, and this process on no roster
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
        """Whether this was attached to the owner at this address, or is by now."""
        return address in (self._given, self._link.address)

    @property
    def answers_within(self) -> float:
        """Seconds within which the owner answers a reload, as its last Install says; 0: not known."""
        return self._machine.answers_within

    def ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        """Send the request that `make(id)` gives over the pipe; None when no answer came within `timeout` seconds."""
        return self._link.ask(make, timeout)

    def close(self) -> None:
        """Disconnect, end the threads, and wake all that wait for a version."""
        self._closed = True
        self._end()
        self._arrived.set()
        self._observers.replica_closed()

    def after_fork(self) -> None:
        """Close the pipe's descriptor in a forked child; the pipe and the threads are the parent's."""
        self._link.after_fork()

    def set_aside(self, snapshot: Snapshot[Any]) -> bool:
        """Whether this provider keeps a snapshot from the owner for later: no, the replica takes it."""
        return False

    def _end(self) -> None:
        self._link.close()
        self._observers.close()

    # ---- what the link reports, in the reading thread

    def swapped(self, old: Held | None, new: Held) -> None:
        """Make this the newest configuration, and call the observers."""
        snapshot = Snapshot(new.config, new.version, new.digest)
        if self._guard is not None:
            self._guard.end()
            self._guard.begin(new.config, new.digest)
        self._observers.swapped(lambda: self._take(snapshot), old.config if old is not None else None, new.config)
        self.caught_up()

    def renumbered(self, new: Held) -> None:
        """Give the same content its new number."""
        self._take(Snapshot(new.config, new.version, new.digest))

    def caught_up(self) -> None:
        """Wake `open`, if it waits: this process holds what the owner gives."""
        if not self._arrived.is_set():  # setting it again would take as long as building a small configuration
            self._arrived.set()

    def settled(self, held: Held) -> None:
        """Call the observers: all workers that were not excused have applied the version."""
        self._observers.settled(held.config)

    def report_observers(self, number: int) -> None:
        """Report to the owner, now and at each step, until the observers have run."""
        self._observers.record.ask(number)

    def terminated(self, why: Terminate) -> None:
        """No more versions will come: have `open` raise if it waits, else log why."""
        self._terminated = why
        if self._arrived.is_set():
            _log.error("%s; this process keeps what it has", self._explain(0.0))
        self._arrived.set()

    def next_owner_refused(self, address: str, refused: Refused) -> None:
        """Log it: another application's owner may have the same name, or this one's next owner another schema."""
        why = self._refusal(refused, address)
        _log.error("the config owner at %s is not followed: %s; this process keeps what it has", address, why)

    # ---- what the machine needs

    def _build(self, payload: bytes) -> T:
        try:
            return self._codec.decode(payload)
        except ProtocolError as error:
            raise CannotBuild(Problem("", f"can't be decoded: {error}")) from None
        except BaseException as error:  # a veto that names this worker; the error's text may show values
            raise CannotBuild(Problem("", f"can't be decoded: {type(error).__name__}")) from None

    def _check(self, round_: int, old: T, new: T) -> tuple[Problem, ...]:
        pair = Pair(old, new)
        del old, new  # what an application's function logs may be sent with the variables of the frames below it
        problems: list[Problem] = []
        for function in list(self._checks):
            self._link.send(Working(round_, path_of(function)))  # first: what reports is not timed out
            try:
                with application_signals():
                    pair.call(function)
            except BaseException as error:  # sys.exit(), a cancelled task, a green timeout: treated as a veto, too
                problems += self._refusals(function, error, pair)
        return tuple(first_of(problems))

    def _refusals(self, function: Callable[[Any, Any], Any], error: BaseException, pair: Pair) -> list[Problem]:
        """The problems for events, logs and the history, with the secrets masked that a text may show."""
        return refusals(function, error, masker(self._codec.schema, type(error).__name__, pair.old, pair.new))

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
