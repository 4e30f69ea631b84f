"""A worker's copy of the configuration: declared at import, attached later, read without a lock or a message.

`Replica(Settings, name="app")` declares only. Until `attach()` the object's class is a subclass whose read attributes
raise NotAttached; attaching sets the class to `Replica`, so that `latest` is a plain slot (7 ns) and no read ever tests
whether there is a value. A swap replaces two references, `latest` before `snapshot`: a pinned version is never newer
than one that is read outside the pin.

After `os.fork()` the child keeps the value, is not connected, and connects with `attach()` on the same object.

Rejected: `__getattr__` (25 ns on every read) and a property (43 ns) for `latest`, and defaults before attaching (a
worker would serve what nobody configured).
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from confcast.errors import NotAttached
from confcast.wire.address import address_variable
from confcast.wire.messages import Answer, Request
from confcast.wire.role import refuse_in_owner
from confcast.worker import reference, registry
from confcast.worker.async_library import in_thread
from confcast.worker.client.awaitable_verbs import AwaitableVerbs
from confcast.worker.client.verb_names import verb_of
from confcast.worker.connection.mask_text import masked
from confcast.worker.derived.declared import Derived
from confcast.worker.derived.resources import Resources
from confcast.worker.health.health import Health
from confcast.worker.health.verbs import HealthVerbs
from confcast.worker.observers.dispatcher import Observers
from confcast.worker.observers.observable import Observable
from confcast.worker.observers.subscription import Sameness
from confcast.worker.pinning import Pinning, WatchedPins
from confcast.worker.pins import Pin
from confcast.worker.readiness import LONG, Readiness, readiness
from confcast.worker.snapshot import Snapshot
from confcast.worker.trials import Identity, Trial

if TYPE_CHECKING:
    from confcast.worker.connection.attachment import Attachment
    from confcast.worker.override import Fake

    Provider: TypeAlias = Attachment[Any] | Fake[Any]
    """The object that gives a replica its value."""

T = TypeVar("T")
Saved: TypeAlias = "tuple[Snapshot[T] | None, Provider | None, Trial[T] | None]"
R = TypeVar("R")
S = TypeVar("S")
P = TypeVar("P")
A = TypeVar("A")
B = TypeVar("B")


class Replica(Pinning[T], AwaitableVerbs, Observable[T], HealthVerbs):
    """One process's copy of one configuration.

    Declaring starts nothing: no process, thread, file or socket. Reading is safe from any thread and any task.

    Args:
        schema: The user's type.
        name: The configuration's name; the owner's manager, or gunicorn's `install()`, is given the same name, and has
            the same default.

    Attributes:
        latest: The newest configuration in this process. A plain slot; raises NotAttached before `attach()`.
        name: As given.
        schema: As given.
    """

    __slots__ = (
        "__weakref__",
        "_attaching",
        "_checks",
        "_declared_in",
        "_health",
        "_identity",
        "_observers",
        "_pinned",
        "_provider",
        "_resources",
        "_snapshot",
        "_spec",
        "_trial",
        "latest",
        "name",
        "schema",
    )

    latest: T
    _snapshot: Snapshot[T]

    def __new__(cls, *_: Any, **__: Any) -> Replica[T]:
        """Make a replica without a value."""
        return object.__new__(_Declared)

    def __init__(self, schema: type[T], *, name: str = "app") -> None:
        self.schema = schema
        self.name = name
        self._declared_in, self._spec = reference.declaring_module()
        same = Sameness(schema)
        self._observers = Observers(self._newest, same, partial(masked, schema))
        self._checks: list[Callable[[T, T], Any]] = []
        self._provider: Provider | None = None
        self._attaching = threading.RLock()
        self._pinned: ContextVar[Pin[T] | None] = ContextVar(f"confcast.{name}", default=None)
        self._trial: Trial[T] | None = None
        self._identity = Identity()
        self._resources = Resources(self, name, schema, same, partial(masked, schema))
        self._health = Health(self, name, partial(masked, schema), self._bound_loop)
        registry.declare(self)

    # ---- reading

    @property
    def ready(self) -> bool:
        """Whether this process serves the committed version, with all that is derived of it. For a readiness probe.

        False before the first version, and while this process has declined the committed one; a refused file, and an
        owner's death, change nothing. `confcast.middleware.readyz` answers a probe, and says why.
        """
        return self._readiness(asks=False).ready

    @property
    def connected(self) -> bool:
        """Whether this process has a pipe to a living owner at this moment."""
        provider = self._provider
        return provider is not None and provider.connected

    # ---- attaching

    def attach(self, address: str | None = None, timeout: float = 10.0, *, ignore_sighup: bool = True) -> Replica[T]:
        """Connect this process to its config owner, and return when it has a version.

        Another call while attached returns at once (after setting the SIGHUP handler again); after a fork, or after
        `close()`, it connects anew. If several threads call it, the first attaches, and the others wait for it.

        A pool takes it as initializer, by fork, spawn or fork server: `Pool(4, initializer=settings.attach)`, likewise
        a `ProcessPoolExecutor`. A replica may be an argument of a process or a task: it arrives as that process's
        replica, and no value is sent along (`confcast.examples.queue_consumer` is the recipe). A coroutine awaits
        `aattach()`.

        Args:
            address: The owner's control socket; by default the value of `CONFCAST_ADDRESS_<NAME>`. A process beside the
                server gives the socket, or the configuration's name, as in `attach("app")`: then the owner is searched
                among this user's, as the command line does. After a full reload or a restart of the server this process
                follows the next owner, which must have the same schema; `connected` is false meanwhile, and the log
                says so.
            timeout: Seconds to wait for a version. If no owner answers within a second, the last committed version is
                taken from the snapshot file, and `connected` stays false until an owner answers.
            ignore_sighup: Give SIGHUP a handler that does nothing if it still has its default action, so that a HUP for
                the whole process group does not kill this worker. Possible in the main thread only.

        Returns:
            This replica.

        Raises:
            NotAttached: No address is known, or the replica was closed meanwhile.
            OwnerUnavailable: No version came in time.
            SchemaMismatch: The owner's configuration was made with another schema; `fields` has the differences.
            NotCarried: The schema has fields that can't be serialised exactly.
            BuildError: What is derived can't be built in this process. The replica stays attached; the next call, or
                read, tries again.
            ConfcastError: Another replica of this name is attached, this process is the owner, no thread can be
                started, or this is root and the owner another user's: root may only ask it.
        """
        refuse_in_owner("attach()")
        if ignore_sighup:
            survive_sighup()
        with self._attaching:
            if self._provider is None:
                self._attach(address, timeout)
        self._resources.begin()
        self._build_present()
        return self

    def _build_present(self) -> None:
        provider = self._provider
        if provider is not None and self._resources.declared:
            self._resources.build_present(self._snapshot, only_async=provider.builds_lazily)
            provider.build_coming()

    def _attach(self, address: str | None, timeout: float) -> None:
        from confcast.worker.connection.attachment import Attachment

        address = address or known_address(self.name)
        held = None if type(self) is _Declared else self._snapshot
        registry.take_name(self)
        try:
            attachment = Attachment(
                self.name,
                self.schema,
                address,
                held,
                self._checks,
                self._observers,
                self._resources,
                self._health,
                self._receive,
                self._receive_trial,
                timeout,
            )
            self._provider = attachment
            attachment.open(timeout)
        except BaseException:
            self._provider = None
            registry.release_name(self)
            raise

    def close(self) -> None:
        """Disconnect from the owner and end this replica's threads. `latest` keeps its value. May be called again.

        From any thread. Iterations of `changes()` end; an `attach` waiting in another thread raises NotAttached. What
        is derived is closed, in pins, too, and can't be read until `attach()` is called again.

        Raises:
            RuntimeError: Called on the event loop on which what is derived was built: await `aclose()` there.
        """
        self._resources.refuse_on_loop("close")
        self._close()

    def _close(self) -> None:
        """`close()`, on any thread: on the loop of the builds, closes that are async are left to its tasks."""
        provider, self._provider = self._provider, None
        if provider is not None:
            provider.close()
        if self._provider is None:  # an override stays, with the attachment below it
            self._set_trial(None)
            registry.release_name(self)
            self._resources.close()

    async def aattach(
        self, address: str | None = None, timeout: float = 10.0, *, ignore_sighup: bool = True
    ) -> Replica[T]:
        """`attach(address, timeout, ignore_sighup=…)`, awaited: the loop goes on meanwhile. Raises what it raises.

        What is derived by async builds is built on this asyncio loop, now and for each coming version. So an
        application's lifespan awaits it, though its server has attached the process already.
        """
        self._resources.bind()
        if ignore_sighup:
            survive_sighup()  # called here: the thread that attaches is not the main thread
        return await in_thread(self.attach, address, timeout, ignore_sighup=False)

    async def aclose(self) -> None:
        """`close()`, awaited: closes that are async are awaited on this loop, if what they close is of no other."""
        self._resources.bind()
        await in_thread(self.close)

    def override(self, config: T) -> AbstractContextManager[Fake[T]]:
        """Set this value in a unit test, without an owner: `with replica.override(Settings(...)) as fake:`.

        `fake.push(new)` runs `precommit`, swap and observers in the caller's thread. After the block the replica is as
        before. Raises TypeError if the value is not of the replica's schema.
        """
        from confcast.worker.override import overridden

        return overridden(self, config)

    # ---- observing its changes

    def precommit(self, function: Callable[[T, T], R]) -> Callable[[T, T], R]:
        """Have `function(old, new)` called at the vote; if it raises, the version is refused in every worker.

        A `ConfigError` can name keys: `raise ConfigError([Problem("memory.total", "does not fit here")])`; the outcome
        says where the sources set these keys.

        This is also a decorator. The function runs in the reading thread, for each candidate and for a version
        installed without a vote; not for the first value in a process. The function must end within the manager's
        `precommit_timeout` (30 s); until then the reload waits for it, and `confcast status` names it.

        Raises:
            TypeError: The function can't be called.
        """
        if not callable(function):
            raise TypeError(f"a precommit function is called with (old, new); {function!r} can't be called")
        self._checks.append(function)
        return function

    # ---- what is derived of it

    @overload
    def derive(
        self,
        build: Callable[[S], Awaitable[P]],
        select: Callable[[T], S],
        *,
        close: Callable[[P], object] | None = None,
        linger: float = 10.0,
        name: str | None = None,
    ) -> Derived[P]: ...

    @overload
    def derive(
        self,
        build: Callable[[S], P],
        select: Callable[[T], S],
        *,
        close: Callable[[P], object] | None = None,
        linger: float = 10.0,
        name: str | None = None,
    ) -> Derived[P]: ...

    @overload
    def derive(
        self,
        build: Callable[[S, A], Awaitable[P]],
        select: Callable[[T], S],
        *,
        using: Derived[A] | tuple[Derived[A]],
        close: Callable[[P], object] | None = None,
        linger: float = 10.0,
        name: str | None = None,
    ) -> Derived[P]: ...

    @overload
    def derive(
        self,
        build: Callable[[S, A], P],
        select: Callable[[T], S],
        *,
        using: Derived[A] | tuple[Derived[A]],
        close: Callable[[P], object] | None = None,
        linger: float = 10.0,
        name: str | None = None,
    ) -> Derived[P]: ...

    @overload
    def derive(
        self,
        build: Callable[[S, A, B], Awaitable[P]],
        select: Callable[[T], S],
        *,
        using: tuple[Derived[A], Derived[B]],
        close: Callable[[P], object] | None = None,
        linger: float = 10.0,
        name: str | None = None,
    ) -> Derived[P]: ...

    @overload
    def derive(
        self,
        build: Callable[[S, A, B], P],
        select: Callable[[T], S],
        *,
        using: tuple[Derived[A], Derived[B]],
        close: Callable[[P], object] | None = None,
        linger: float = 10.0,
        name: str | None = None,
    ) -> Derived[P]: ...

    def derive(
        self,
        build: Callable[..., Any],
        select: Callable[[T], Any],
        *,
        using: Derived[Any] | tuple[Derived[Any], ...] | None = None,
        close: Callable[[Any], object] | None = None,
        linger: float = 10.0,
        name: str | None = None,
    ) -> Derived[Any]:
        """Declare an object that is built of a part of the configuration, and follows it: a pool, a client, an app.

            engine = settings.derive(make_engine, lambda c: c.database, close=Engine.dispose)

            def handler():
                with engine.current.connect() as connection: ...

        Nothing is built now. What a coming version needs is built before this worker votes, within the manager's
        `precommit_timeout`; if that fails, `SystemExit` included, the version is refused in every worker. What the
        version in hand needs is built by `attach()`, by a server once its application is imported, or by the first
        read. The object is swapped together with the configuration, kept while its part is the same, and closed
        `linger` seconds after another took its place, but not before the last pin of its version has ended, and not
        while an undo may put it back (`probation`, `confirm_within`). While a version is on trial its object is there
        beside the committed one's: `current` reads it in the pins that get the version. `build` and `close` also run
        for versions that are never committed: they must have no effects outside the process.

        Args:
            build: `build(part)`, or `build(part, a, b)` with `using=(a, b)`. If it gives an awaitable, that is awaited
                on the event loop that `await settings.aattach()` has bound. It may read no other derived thing. It is
                pinned to the version that it builds for.
            select: Picks the part; `lambda c: c` is all of it.
            using: What it is built with: one derived thing of this replica, or a tuple of them.
            close: `close(thing)`, sync or async; called in a thread of confcast's, in reverse order of building. One
                that raises or hangs is logged and counted.
            linger: Seconds for which the former object stays open, for uses outside of pins.
            name: For messages; by default the name of `build`.

        Returns:
            The declared thing: `current` and `latest` read it.

        Raises:
            TypeError, ValueError: An argument has no such value.
            ConfigError: `using` names what is derived from another replica.
        """
        return self._resources.declare(build, select, using, close, linger, name)

    # ---- for the other files of the package

    def _readiness(self, *, asks: bool = True) -> Readiness:
        """Whether this process serves the committed version, and why not. `asks`: may take a second."""
        snapshot, provider, _ = self._save()
        return readiness(self.name, snapshot, provider, self._resources, asks=asks)

    async def _areadiness(self) -> Readiness:
        provider = self._provider
        asks = provider is not None and provider.busy > LONG
        return await in_thread(self._readiness) if asks else self._readiness(asks=False)

    def _get_observers(self) -> Observers:
        return self._observers

    _known_observers = _get_observers

    def _take(self, snapshot: Snapshot[T]) -> None:
        """Make this snapshot the newest. The first snapshot makes this a replica with a value."""
        former = None if type(self) is _Declared else self._snapshot
        _set_latest(self, snapshot.config)
        _set_snapshot(self, snapshot)
        if former is None:
            self.__class__ = Replica
            self._choose_pins()
        elif former is not snapshot:
            self._health.before = (former.version, former._tally)
            if former._things is not None:
                self._resources.replaced(former._things, snapshot._things)

    def _set_trial(self, trial: Trial[T] | None) -> None:
        """Give pins a version on trial, or no longer."""
        self._trial = trial
        self._choose_pins()

    def _choose_pins(self) -> None:
        """Have pins pay for a trial only while there is something to choose. Any thread."""
        wanted: type[Replica[T]] | None = None
        while type(self) is not _Declared and wanted is not (newly := self._pins_wanted()):
            self.__class__ = wanted = newly  # looked at again: another thread may have changed the reasons meanwhile

    def _pins_wanted(self) -> type[Replica[T]]:
        return Replica if self._trial is None else _Watched

    def _save(self) -> Saved[T]:
        """The snapshot, the provider and the trial, for `_restore` to put back."""
        return (None if type(self) is _Declared else self._snapshot), self._provider, self._trial

    def _restore(self, saved: Saved[T]) -> None:
        """Put back what `_save` returned."""
        snapshot, self._provider, trial = saved
        self._set_trial(trial)
        if snapshot is not None:
            self._take(snapshot)
        else:
            self._resources.replaced(self._snapshot._things, None)
            self.__class__ = _Declared
            _set_snapshot(self, None)
        self._observers.assume(self._newest())

    def _after_fork(self) -> None:
        """Keep the value in a forked child, and drop the pipe and the threads, which belong to the parent."""
        self._attaching = threading.RLock()
        provider, self._provider = self._provider, None
        if provider is not None:
            provider.after_fork()
        self._resources.after_fork()
        self._health.after_fork()
        self._set_trial(None)
        if type(self) is not _Declared:
            self._take(self._snapshot)  # the fork may have come between the two assignments of a swap
        self._observers.after_fork()

    def _was_declared_again(self, former: Replica[Any]) -> bool:
        """Whether the other replica was declared by an earlier run of the same module."""
        return self._declared_in == former._declared_in and self._spec is not former._spec

    def _is_elsewhere(self, address: str) -> bool:
        """Whether this replica is attached to another owner than the one at this address."""
        provider = self._provider
        return provider is not None and provider.address != "" and not provider.is_at(address)

    def _bound_loop(self) -> Any:
        return self._resources.loop

    def _receive(self, snapshot: Snapshot[T]) -> None:
        """Take a snapshot from the owner; while an override lasts, it is kept until the block ends."""
        provider = self._provider
        if provider is None or not provider.set_aside(snapshot):
            self._take(snapshot)

    def _receive_trial(self, trial: Trial[T] | None) -> None:
        """Take a version on trial from the owner; while an override lasts, it is kept until the block ends."""
        provider = self._provider
        if provider is None or not provider.set_trial_aside(trial):
            self._set_trial(trial)

    def _newest(self) -> T | None:
        return None if type(self) is _Declared else self.latest

    def _ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        provider = self._provider
        self._resources.refuse_on_loop(verb_of(make))
        if provider is None:
            raise NotAttached(f"replica {self.name!r} is not attached in this process: call attach() first")
        return provider.ask(make, timeout)

    @property
    def _owner_address(self) -> str:
        """The control socket of the owner that serves this process, or did last. Raises NotAttached."""
        if (provider := self._provider) is None:
            raise NotAttached(f"replica {self.name!r} is not attached in this process: call attach() first")
        return provider.address

    def _answers_within(self) -> float:
        provider = self._provider
        return (provider.answers_within if provider is not None else 0.0) or super()._answers_within()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return reference.reference_to(self, self._declared_in, Replica)

    def __repr__(self) -> str:
        state = "declared" if type(self) is _Declared else f"version {self._snapshot.version}"
        return f"Replica({self.schema.__name__}, name={self.name!r}: {state})"


class _Declared(Replica[T]):
    """A replica without a value: reading it raises NotAttached, which says what to do."""

    __slots__ = ()

    if not TYPE_CHECKING:

        @property
        def latest(self) -> T:
            raise _not_attached(self)

        @property
        def _snapshot(self) -> Snapshot[T]:
            raise _not_attached(self)


class _Watched(WatchedPins[T], Replica[T]):
    """A replica while a version is on trial."""

    __slots__ = ()


for _other in (_Declared, _Watched):
    _other.__qualname__ = _other.__name__ = Replica.__name__  # the error for a misspelt attribute shows the name
_set_latest = Replica.__dict__["latest"].__set__
_set_snapshot = Replica.__dict__["_snapshot"].__set__


def _not_attached(replica: Replica[Any]) -> NotAttached:
    return NotAttached(
        f"replica {replica.name!r} of {replica.schema.__name__} has no configuration yet: call attach() in this "
        "process (a server's module does it at the worker's start), or override() in a unit test"
    )


def attach(
    schema: type[T],
    address: str | None = None,
    timeout: float = 10.0,
    *,
    name: str = "app",
    ignore_sighup: bool = True,
) -> Replica[T]:
    """`Replica(schema, name=name).attach(address, timeout, ignore_sighup=…)`, for a worker with one replica."""
    return Replica(schema, name=name).attach(address, timeout, ignore_sighup=ignore_sighup)


def known_address(name: str) -> str:
    """The owner's address for a configuration's name, from the environment. Raises NotAttached if it is not set."""
    variable = address_variable(name)
    address = os.environ.get(variable)
    if not address:
        raise NotAttached(
            f"replica {name!r} knows no owner: {variable} is not set. Start a ConfigReloadManager named {name!r} in "
            f"the master before its workers; beside a server, give attach() its address, or the name: attach({name!r})"
        )
    return address


def survive_sighup() -> None:
    """Give SIGHUP a handler that does nothing, if it has its default action and this is the main thread."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _ignore)


def _ignore(number: int, frame: Any) -> None:
    """Does nothing. SIG_IGN would be inherited by every program that the worker starts."""
