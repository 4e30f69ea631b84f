"""`Derived` is what `Replica.derive` gives: an application declares at import what is built, and reads it per request.

Declaring starts, builds and connects nothing. A read takes one look into a dict; what is not there yet is built by the
replica's `Resources`. Cycles can't be written: what a build uses was declared before.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from confcast.errors import BuildError, ConfigError, Problem
from confcast.worker.derived.things import Declaration
from confcast.worker.pins import Pinnable
from confcast.worker.precommit import name_of
from confcast.worker.snapshot import Snapshot

P = TypeVar("P")


class Kept(NamedTuple):
    """An object of a former version that is still open.

    Attributes:
        version: The first version that it was built for; 0 if that had no number yet.
        seconds: How long ago the newest version got another one.
        pins: How many open pins are of versions that have it.
    """

    version: int
    seconds: float
    pins: int


class Owner(Protocol):
    """What a `Derived` asks of its replica's `Resources`."""

    def read(self, declaration: Declaration, snapshot: Snapshot[Any]) -> Any:
        """The object of this version; built, if it is not. Raises BuildError, NotAttached."""

    def kept(self, declaration: Declaration) -> tuple[Kept, ...]:
        """The objects of former versions that are still open."""

    def override(self, declaration: Declaration, value: Any) -> AbstractContextManager[Any]:
        """As `Derived.override`."""


class Build:
    """A build that runs. Tasks and threads that it starts may outlive it, and may read what they like afterwards.

    Attributes:
        name: Of what is built.
        runs: Whether it has not ended yet.
        waits: The thread that waits for it: the one that began it.
    """

    __slots__ = ("name", "runs", "waits")

    def __init__(self, name: str) -> None:
        self.name = name
        self.runs = True
        self.waits = threading.current_thread()


_build: ContextVar[Build | None] = ContextVar("confcast.build", default=None)

_ABSENT = object()


class Derived(Generic[P]):
    """An object that follows the configuration: `Replica.derive` declares it, `current` and `latest` read it.

        engine = settings.derive(make_engine, lambda c: c.database, close=Engine.dispose)

        def handler():
            with engine.current.connect() as connection: ...

    Reading is safe from any thread and any task.
    """

    __slots__ = ("_declaration", "_owner", "_replica")

    def __init__(self, owner: Owner, replica: Pinnable[Any], declaration: Declaration) -> None:
        self._owner = owner
        self._replica = replica
        self._declaration = declaration

    @property
    def current(self) -> P:
        """The object of the pinned version inside a pin, of the newest outside; built, if it was not read before.

        Raises:
            BuildError: It can't be built; or a build reads it; or it is async, and `aattach()` was not awaited.
            NotAttached: The replica has no configuration; or this process was forked, or the replica was closed, and
                `attach()` has not been called since.
        """
        pin = self._replica._pinned.get()
        if pin is None or (snapshot := pin.snapshot) is None:
            snapshot = self._replica._snapshot
        things, declaration = snapshot._things, self._declaration  # `_of`, written out: requests pay for it
        if things is not None and not declaration.instead:
            value: Any = things.values.get(declaration, _ABSENT)
            if value is not _ABSENT:  # never within a build, which is pinned to a version that has no things yet
                return value  # type: ignore[no-any-return]
        return self._of(snapshot)

    @property
    def latest(self) -> P:
        """The object of the newest version, also inside a pin. Raises as `current` does."""
        return self._of(self._replica._snapshot)

    @property
    def name(self) -> str:
        """As given to `derive`, else the name of the build function, or the key of a lambda's part."""
        return self._declaration.name

    @property
    def failed_closes(self) -> int:
        """How many closes in this process have raised, or have not ended in time."""
        return self._declaration.failed_closes

    @property
    def kept(self) -> tuple[Kept, ...]:
        """The objects of former versions that are still open in this process. Slow: it looks at all objects."""
        return self._owner.kept(self._declaration)

    def override(self, value: P) -> AbstractContextManager[P]:
        """In a unit test, read this value instead, in the block: `with engine.override(fake):`.

        Nothing is built or closed for it. What is declared with `using=` this is built anew at its first read in the
        block, with the value, and closed at the block's end.
        """
        return self._owner.override(self._declaration, value)

    def _of(self, snapshot: Snapshot[Any]) -> P:
        build = _build.get()
        if build is not None and build.runs:
            raise reads_another(build.name, self.name)
        things, declaration = snapshot._things, self._declaration
        value: Any = _ABSENT if things is None or declaration.instead else things.values.get(declaration, _ABSENT)
        if value is _ABSENT:
            value = self._owner.read(declaration, snapshot)
        return value  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"Derived({self.name!r})"


def reads_another(name: str, other: str) -> BuildError:
    """The error for a build that reads another derived thing."""
    text = f"{name}: its build reads {other!r}, which may be of another version: name it in using="
    return BuildError(name, "", [Problem("", text)])


@contextlib.contextmanager
def within_build(name: str) -> Iterator[None]:
    """Refuse reads of derived things in this context, until the block ends. `name`: of what is built."""
    build = Build(name)
    token = _build.set(build)
    try:
        yield
    finally:
        build.runs = False
        _build.reset(token)


def is_waited_for_by(thread: threading.Thread) -> bool:
    """Whether the caller is, or was called by, a build for which this thread waits now; on whatever thread or loop."""
    build = _build.get()
    return build is not None and build.runs and build.waits is thread


def check(
    owner: Owner, build: object, select: object, using: object, close: object, linger: object
) -> tuple[Declaration, ...]:
    """What is used. Raises TypeError, ValueError or ConfigError for what can't be declared."""
    for name, function in (("build", build), ("select", select), ("close", close)):
        if not callable(function) and not (name == "close" and function is None):
            raise TypeError(f"{name}={function!r}: a function is expected")
    if isinstance(linger, bool) or not isinstance(linger, int | float) or not 0 <= linger < float("inf"):
        raise ValueError(f"linger={linger!r}: a number of seconds is expected, 0 or more")
    used = () if using is None else using if isinstance(using, tuple) else (using,)
    for each in used:
        if not isinstance(each, Derived):
            raise TypeError(f"using={each!r}: what derive() has given is expected, or a tuple of such")
        if each._owner is not owner:
            text = (
                f"using={each.name!r}: that is derived from another configuration, and two configurations do not "
                "change as one; derive it from this one, or build it inside"
            )
            raise ConfigError([Problem("", text)])
    return tuple(each._declaration for each in used)


def name_from(name: str | None, build: Callable[..., Any], key: str, number: int) -> str:
    """The name by which messages call it."""
    if name:
        return name
    called = name_of(build)
    return called if "<lambda>" not in called else f"what is built of {key}" if key else f"derived {number}"
