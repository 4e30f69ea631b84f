"""What an attached replica has from `attach()` to `close()`: the codec, the state machine and the link.

It builds the configurations that come over the pipe, calls the application's `precommit` functions, and explains in
words why a process can't be served. Rejected: keeping this in the replica (how the application reads a value does not
depend on how the process received it).
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from confcast.config.codec import codec_of, digest
from confcast.errors import (
    BuildError,
    ConfcastError,
    NotAttached,
    OwnerUnavailable,
    Problem,
    ProtocolError,
    first_of,
)
from confcast.log_fields import about
from confcast.texts import printable
from confcast.wire.address import snapshot_variable
from confcast.wire.files.snapshot_file import Saved
from confcast.wire.messages import Answer, Refused, Request, Unhealthy, Working
from confcast.wire.signal_mask import application_signals
from confcast.worker.connection.discovery import refuse_root
from confcast.worker.connection.link import Link
from confcast.worker.connection.machine import (
    UNDO_TAKES,
    CannotBuild,
    DoesNotFit,
    Held,
    Keep,
    Machine,
    Slot,
    Terminate,
)
from confcast.worker.connection.mask_text import masker
from confcast.worker.connection.mutation_check import guard
from confcast.worker.connection.schema_mismatch import mismatch
from confcast.worker.derived.resources import Resources
from confcast.worker.derived.things import Things
from confcast.worker.health.health import Health
from confcast.worker.observers.delivery import Pair
from confcast.worker.observers.dispatcher import Observers
from confcast.worker.precommit import path_of, refusals
from confcast.worker.snapshot import Snapshot
from confcast.worker.trials import Trial

if TYPE_CHECKING:
    from confcast.wire.files.inherited_snapshot import Inherited

_log = logging.getLogger("confcast.worker")

_BUILD_TIMEOUT = 60.0
"""Seconds that an awaited build may take where the owner has not said how long it waits."""

T = TypeVar("T")


class Attachment(Generic[T]):
    """What gives a replica its value while it is attached, and the listener of its link.

    Args:
        name: The configuration's name.
        schema: The user's type. Raises NotCarried if it has fields that can't be serialised exactly.
        address: The control socket; or the configuration's name again, by which the owner is searched.
        held: The version that the process holds already.
        checks: The `precommit` functions; read at each vote.
        observers: Called for swaps and settlings.
        resources: What is derived of the configuration.
        health: Is told what may be undone, and tells the owner what speaks against it.
        take: Makes a snapshot the replica's newest.
        take_trial: Gives the replica's pins a version on trial, or with None no longer.
        timeout: Seconds that `open` will wait; the snapshot file is tried before their end.

    Attributes:
        builds_lazily: Whether what is derived is built only when it is read.
    """

    builds_lazily = False

    def __init__(
        self,
        name: str,
        schema: type[T],
        address: str,
        held: Snapshot[T] | None,
        checks: list[Callable[[Any, Any], Any]],
        observers: Observers,
        resources: Resources,
        health: Health,
        take: Callable[[Snapshot[T]], None],
        take_trial: Callable[[Trial[T] | None], None],
        timeout: float,
    ) -> None:
        refuse_root(address)
        self._name = name
        self._given = address
        self._codec = codec_of(schema)
        self._checks = checks
        self._observers = observers
        self._resources = resources
        self._health = health
        self._take = take
        self._take_trial = take_trial
        self._guard = guard(name, self._codec)
        self._trial_guard = guard(name, self._codec)
        self._terminated: Terminate | None = None
        self._closed = False
        self._arrived = threading.Event()
        self._machine = machine = Machine(
            self._build,
            self._check,
            observers.follow_settlings,
            self._patch,
            self._derive,
            self._drop,
            resources.declared,
            time.monotonic,
        )
        self._newest = held
        self._trial: Trial[T] | None = None
        self._former: tuple[T, weakref.ref[Things]] | None = None  # for an undo; `Resources` holds the things
        self._holds = held is not None
        if held is not None:
            machine.adopt(Held(held.version, held.digest, held.config))
            if self._guard is not None:
                self._guard.begin(held.config, held.digest)
        inherited, self._useless = self._inherited()
        self._link = Link(address, name, self._codec.fingerprint, machine, self, self._open_saved, timeout, inherited)
        observers.record.report_to(self._link.report)
        health.report_to(self._link.send)

    def open(self, timeout: float) -> None:
        """Start the link, and wait for the owner's version. Raises as `Replica.attach` does, after closing the link.

        A process that holds a version already (from before a fork or a `close()`) serves no request with it while an
        owner may send a newer one; if no owner answers within a second, the process goes on with its own version.
        """
        try:
            self._link.start()
            arrived = self._arrived.wait(timeout)
            if self._closed:
                raise NotAttached(f"replica {self._name!r} was closed while it was being attached")
            if self._terminated is not None or not (arrived or self._holds):
                raise self._explain(timeout)
        except BaseException:  # also a KeyboardInterrupt must leave no thread, and take this process off the roster
            self._end()
            raise
        self._arrived.set()

    @property
    def address(self) -> str:
        """The path of the owner's control socket."""
        return self._link.address

    @property
    def connected(self) -> bool:
        """Whether there is a pipe to a living owner."""
        return self._link.connected

    @property
    def lacks(self) -> str:
        """Why this process has not the version that is committed, in words; "" if it has, as far as it knows."""
        if self._terminated is not None:
            return "the config owner does not serve this process any more; its log says why"
        if declined := self._machine.declined:
            return f"version {declined} is committed, and was declined here; `confcast status` says why"
        return ""

    @property
    def busy(self) -> float:
        """For how many seconds the reading thread has been at one message."""
        return self._link.busy

    def is_at(self, address: str) -> bool:
        """Whether this was attached to the owner at this address, or follows the owner there by now."""
        return address in (self._given, self._link.address)

    @property
    def answers_within(self) -> float:
        """Seconds within which the owner answers a reload, as its last Install says; 0 if not known."""
        return self._machine.answers_within

    def ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        """Send the request that `make(id)` returns over the pipe; None if no answer came in `timeout` seconds."""
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
        """Whether this provider keeps a snapshot from the owner for later: never, the replica takes it."""
        return False

    def build_coming(self) -> None:
        """Build what was not there at the vote, for a version that is swapped in now, and for one on trial.

        In a vote nothing is built that was not declared yet, or that an event loop has to build which `aattach()` binds
        only later. If it can't be built for a trial, that is said against the version: what is committed is served.

        Raises:
            BuildError: It can't be built for the version in hand.
        """
        if (newest := self._newest) is not None:
            self._resources.build_present(newest)
        trial = self._trial
        if trial is None:
            return
        try:
            self._resources.build_present(trial.snapshot)
        except BuildError as error:
            reason = "; ".join(map(str, error.problems))
            _log.error(
                "version %d, which is on trial, can't be used here: %s",
                trial.snapshot.version,
                reason,
                extra=about("trial_not_usable", name=self._name, version=trial.snapshot.version, reason=reason),
            )
            self._link.send(Unhealthy(trial.snapshot.version, reason))

    def _catch_up(self, snapshot: Snapshot[T], former: Snapshot[T]) -> None:
        """Build for a version that pins get now what the newest one has, and the vote on it could not build.

        A server attaches a process before its application is imported and has its loop: the process may have voted
        before that, while others still voted after it. Either this sees what the newest version has by then, or
        `build_coming` sees this version, which is noted before. What fails is said against the version.
        """
        seconds = self._machine.precommit_timeout or _BUILD_TIMEOUT
        problems = self._resources.catch_up(snapshot, former._things, seconds)
        if problems:
            reason = "; ".join(map(str, problems))
            _log.error(
                "version %d can't be used here: %s",
                snapshot.version,
                reason,
                extra=about("version_not_usable", name=self._name, version=snapshot.version, reason=reason),
            )
            self._link.send(Unhealthy(snapshot.version, reason))

    def set_trial_aside(self, trial: Trial[Any] | None) -> bool:
        """Whether this provider keeps a version on trial for later: never, either."""
        return False

    def heard(self, version: int, reason: str) -> bool:
        """Whether this provider keeps for itself what is said against a version: never, the owner is told."""
        return False

    def _end(self) -> None:
        self._health.close()
        self._link.close()
        self._observers.close()

    # ---- what the link reports, in the reading thread

    def swapped(self, old: Held | None, new: Held) -> None:
        """Make `new` the replica's newest configuration, and call the observers; a first value wakes `open`."""
        former, newest = self._newest, self._snapshot_of(new)
        self._newest = newest
        if former is not None and self._resources.declared:
            self._catch_up(newest, former)
        take = partial(self._take, newest)
        if self._guard is not None:
            self._guard.end()
            self._guard.begin(new.config, new.digest)
        self._observers.swapped(take, old.config if old is not None else None, new.config)
        if old is None:
            self._arrived.set()

    def renumbered(self, new: Held) -> None:
        """Give the replica's present content its new number."""
        self._newest = self._snapshot_of(new)
        self._take(self._newest)

    def tried(self, slot: Slot) -> None:
        """Give pins a version on trial, or no longer. What was derived of a former one is closed when it is due."""
        former, held = self._trial, slot.held
        if held is None:
            self._trial = None
        else:
            snapshot = self._snapshot_of(held)
            self._trial = Trial(snapshot, slot.share, slot.salt, begun=slot.begun)
            if self._newest is not None and self._resources.declared:
                self._catch_up(snapshot, self._newest)
        self._take_trial(self._trial)
        self._health.on_trial(self._trial.snapshot if self._trial is not None else None)
        if former is not None and (self._trial is None or former.snapshot is not self._trial.snapshot):
            newest = self._newest._things if self._newest is not None else None
            self._resources.replaced(former.snapshot._things, newest)
        self._watch_for_changes(former, held)

    def _watch_for_changes(self, former: Trial[T] | None, held: Held | None) -> None:
        watching = self._trial_guard
        if watching is None or (former is not None and held is not None and former.snapshot.config is held.config):
            return
        watching.end()
        if held is not None:
            watching.begin(held.config, held.digest)

    def kept(self, keep: Keep) -> None:
        """Keep what is derived of the version that an undo would put back, for as long as one may come."""
        former = keep.former
        things = self._things_of(former.config) if former is not None else None
        self._former = None if former is None or things is None else (former.config, weakref.ref(things))
        self._resources.keep(things, keep.seconds + UNDO_TAKES)
        self._health.provisional(keep.version, keep.seconds)

    def _snapshot_of(self, held: Held) -> Snapshot[T]:
        """The snapshot of this version: with what is derived of its configuration, if that is held, kept or staged."""
        trial = self._trial
        if trial is not None and trial.snapshot.config is held.config and trial.snapshot.version == held.version:
            return trial.snapshot
        things = None
        if self._resources.declared:
            things = self._things_of(held.config)
            if things is None:
                things = self._resources.take_staged(held.config, held.version, held.digest)
        return Snapshot(held.config, held.version, held.digest, things)

    def _things_of(self, config: T) -> Things | None:
        """What is derived of a configuration that this process holds or keeps."""
        for snapshot in (self._newest, self._trial.snapshot if self._trial is not None else None):
            if snapshot is not None and snapshot.config is config:
                return snapshot._things
        if self._former is not None and self._former[0] is config:
            return self._former[1]()
        return None

    def caught_up(self) -> None:
        """Wake `open`: this process holds what the owner gives. Tell the owner what none could be told before."""
        self._arrived.set()
        self._health.owner_is_back()

    def settled(self, held: Held) -> None:
        """Call the observers of `settled`: all workers that were not excused have applied the version."""
        self._observers.settled(held.config)

    def report_observers(self, number: int) -> None:
        """Report to the owner which observers have not run, now and whenever one has run, until all have."""
        self._observers.record.ask(number)

    def terminated(self, why: Terminate) -> None:
        """Note that no more versions will come: `open` raises if it waits; otherwise the reason is logged."""
        self._terminated = why
        if self._arrived.is_set():
            _log.error(
                "%s; this process keeps what it has",
                self._explain(0.0),
                extra=about("owner_not_followed", name=self._name),
            )
        self._arrived.set()

    def next_owner_refused(self, address: str, refused: Refused) -> None:
        """Log that an owner refused this process: it may be another application's, or have another schema."""
        why = self._refusal(refused, address)
        _log.error(
            "the config owner at %s is not followed: %s; this process keeps what it has",
            address,
            why,
            extra=about("owner_not_followed", name=self._name, address=address, reason=why),
        )

    # ---- what the machine needs

    def _build(self, payload: bytes) -> T:
        try:
            return self._codec.decode(payload)
        except ProtocolError as error:
            raise CannotBuild(Problem("", f"can't be decoded: {error}")) from None
        except BaseException as error:  # becomes a veto that names this worker; the error's text may show values
            raise CannotBuild(Problem("", f"can't be decoded: {type(error).__name__}")) from None

    def _patch(self, held: T, patch: bytes) -> T:
        try:
            return self._codec.patched(held, patch)
        except BaseException as error:  # the error's text may show values
            raise DoesNotFit(type(error).__name__) from None

    def _check(self, round_: int, old: T, new: T) -> tuple[Problem, ...]:
        if not self._checks:
            return ()
        pair = Pair(old, new)
        del old, new  # a log record of an application's function may be sent with the variables of the frames below it
        problems: list[Problem] = []
        for function in list(self._checks):
            self._link.send(Working(round_, path_of(function)))  # sent first: a report prevents a time-out
            try:
                with application_signals():
                    pair.call(function)
            except BaseException as error:  # also sys.exit(), a cancelled task or a green timeout is a veto
                problems += self._refusals(function, error, pair)
        return tuple(first_of(problems))

    def _derive(self, round_: int, config: T) -> tuple[Problem, ...]:
        """Build what is derived of a coming version; the owner hears of each build first, as of `precommit`."""
        seconds = self._machine.precommit_timeout or _BUILD_TIMEOUT
        return tuple(
            first_of(self._resources.stage(config, lambda name: self._link.send(Working(round_, name)), seconds))
        )

    def _drop(self) -> None:
        """Close what was derived of a version that is not swapped in."""
        if self._resources.declared:
            self._resources.unstage()

    def _refusals(self, function: Callable[[Any, Any], Any], error: BaseException, pair: Pair) -> list[Problem]:
        """The problems for events, logs and the history; the secrets that their texts may show are masked."""
        return refusals(function, error, masker(self._codec.schema, type(error).__name__, pair.old, pair.new))

    def _open_saved(self, saved: Saved) -> T | None:
        if saved.schema != self._codec.fingerprint or digest(saved.payload) != saved.digest:
            _log.warning(
                "the snapshot file is torn or of another schema; waiting for the config owner",
                extra=about("snapshot_file_not_used", name=self._name),
            )
            return None
        try:
            return self._codec.decode(saved.payload)
        except ProtocolError as error:
            _log.warning(
                "the snapshot file can't be used: %s",
                error,
                extra=about("snapshot_file_not_used", name=self._name, error=error),
            )
            return None

    def _inherited(self) -> tuple[Inherited | None, str]:
        """What `confcast exec` has found for this process; or None, and why it can't be used, if there is something."""
        if snapshot_variable(self._name) not in os.environ:
            return None, ""
        from confcast.wire.files import inherited_snapshot  # imported here: nearly no process needs it

        found = inherited_snapshot.take(self._name, self._given)
        if found is None or found.saved.schema == self._codec.fingerprint:
            return found, ""
        text = (
            f"version {found.saved.version}, which `confcast exec` found, is of another schema than "
            f"{self._codec.schema.__qualname__} here: the server and this program run different code"
        )
        fields = about("inherited_version_not_used", name=self._name, version=found.saved.version)
        _log.warning("%s; waiting for the config owner", text, extra=fields)
        return None, text

    # ---- why this process can't be served, in words

    def _explain(self, timeout: float) -> ConfcastError:
        why = self._terminated
        if why is None:
            trouble = self._link.trouble or "the config owner does not answer"
            told = f"no version of {self._name!r} came within {timeout:g} s: {trouble}"
            return OwnerUnavailable(f"{told}; {self._useless}" if self._useless else told)
        if why.refused is None:
            problems = "; ".join(map(str, why.problems))
            return ConfcastError(f"the committed configuration of {self._name!r} can't be used here: {problems}")
        return self._refusal(why.refused, self._link.address)

    def _refusal(self, refused: Refused, address: str) -> ConfcastError:
        if refused.fields:
            return mismatch(self._name, self._codec, refused.fields, address)
        return ConfcastError(f"the config owner of {self._name!r} refuses this process: {printable(refused.reason)}")
