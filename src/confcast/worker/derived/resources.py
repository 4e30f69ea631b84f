"""`Resources` are what one replica's process has built: declared by the application, built, swapped and closed with it.

Guaranteed:

- What a coming version needs is built before this worker votes, in the thread that reads the pipe, and is dropped if
  that version is not committed here. What the version in hand needs is built by `attach()`, or by the first read.
- A thing is built anew only if its part of the configuration differs, as observers compare it, or if something that it
  uses was built anew; otherwise versions share the object, also one that only lingers.
- Each thing is built once for a version; other threads wait. A build that failed is tried again at the next read.
- A forked child has none of its parent's things, and closes none of them.

Rejected: building after the commit (an observer can refuse nothing), and building in the requests' threads (the first
request after a change would pay for it).
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from confcast.errors import BuildError, NotAttached, Problem
from confcast.worker.derived import building
from confcast.worker.derived.closing import Closing
from confcast.worker.derived.declared import Derived, Kept, check, name_from
from confcast.worker.derived.selected_key import key_of
from confcast.worker.derived.things import Contents, Declaration, Thing, Things
from confcast.worker.observers.subscription import Sameness
from confcast.worker.pins import Pin, Pinnable
from confcast.worker.precommit import path_of
from confcast.worker.snapshot import Snapshot

if TYPE_CHECKING:  # importing it takes 6 MiB, which a worker without a loop need not pay
    import asyncio

LONGEST_WAIT = 60.0
"""Seconds that a read waits for another thread that builds a thing of the same version."""

_MOST_COMPARED = 4
"""How many open things of one declaration are compared with a new part: to compare takes as long as to encode it."""

_MOST_KNOWN = 16
"""How many versions are known before those that have ended are forgotten."""

_Tell = Callable[[str], object]


class Resources:
    """What one replica has built in this process. Any thread may call any method.

    Args:
        replica: The replica, whose pins and snapshot count.
        name: Its name.
        schema: Its schema, for keys.
        same: Whether a part is the same in two configurations.
        masked: Masks secrets: `masked(text, instead, *configurations)`.

    Attributes:
        declared: What is derived, in the order of declaration. While it is empty, nothing here need be called.
        loop: The event loop that `aattach()` has bound; None if none was, or it is closed.
    """

    def __init__(
        self,
        replica: Pinnable[Any],
        name: str,
        schema: type,
        same: Sameness,
        masked: Callable[..., str],
    ) -> None:
        self.declared: list[Declaration] = []
        self.loop: asyncio.AbstractEventLoop | None = None
        self._replica = replica
        self._name = name
        self._schema = schema
        self._same = same
        self._masked = masked
        self._lock = threading.RLock()  # reentrant: the garbage collector may run while it is held
        self._closing = Closing(masked, self._bound)
        self._staged: list[Things] = []
        self._known: list[weakref.ref[Things]] = []
        self._serial = itertools.count(1)
        self._why_not = ""
        self._inherited: list[Any] = []  # a parent's things: dropping the last reference to one might close it

    # ---- declaring

    def declare(
        self,
        build: Callable[..., Any],
        select: Callable[[Any], Any],
        using: object,
        close: Callable[[Any], Any] | None,
        linger: float,
        name: str | None,
    ) -> Derived[Any]:
        """As `Replica.derive`."""
        declaration = Declaration(build, select, check(self, build, select, using, close, linger), close, linger)
        declaration.key = key_of(select, self._schema)
        with self._lock:
            declaration.name = name_from(name, build, declaration.key, len(self.declared) + 1)
            self.declared.append(declaration)
        return Derived(self, self._replica, declaration)

    # ---- the version in hand

    def read(self, derived: Declaration, snapshot: Snapshot[Any]) -> Any:
        """The object of this version, built if it is not. Raises BuildError or NotAttached."""
        things = self._things_of(snapshot)
        if derived.instead:
            instead = derived.instead[-1]
            return instead.read(derived, things) if type(instead) is Anew else instead
        try:
            return self._thing(derived, things).value
        except (BuildError, NotAttached):
            raise
        except BaseException as error:
            failed = self._build_error(derived, error, things)
        raise failed  # not in the handler: the error would be its context, whose text may show secrets

    def build_present(self, snapshot: Snapshot[Any], *, only_async: bool = False) -> None:
        """Build what a version in hand needs, as far as it can be built in this thread. Raises BuildError."""
        for derived in self._to_build():
            if only_async and not derived.needs_loop:
                continue
            with contextlib.suppress(building.NeedsLoop):
                self.read(derived, snapshot)

    def is_ready(self, snapshot: Snapshot[Any]) -> bool:
        """Whether all that is declared is built for this version."""
        with self._lock:
            built = snapshot._things.values if snapshot._things is not None else {}
            return not self._why_not and all(each in built or each.instead for each in self.declared)

    def bind(self) -> None:
        """Have async builds awaited on the asyncio loop that runs the caller, if one does, from now on."""
        if (asyncio := sys.modules.get("asyncio")) is None:  # then the caller's loop is trio's
            return
        loop = asyncio._get_running_loop()
        if loop is not None and loop is not self.loop:
            self._forget_loop(self.loop)
            self.loop = loop

    def refuse_on_loop(self, verb: str) -> None:
        """Raise RuntimeError if this thread runs the loop on which things are built: it would wait for itself."""
        if self.loop is not None and building.is_running_here(self.loop) and any(d.needs_loop for d in self.declared):
            raise RuntimeError(
                f"{verb}() would block the event loop on which {self._name!r} builds what is derived, and wait for "
                f"itself: await a{verb}()"
            )

    # ---- a coming version

    def stage(
        self,
        config: Any,
        tell: _Tell,
        seconds: float,
        only: Iterable[object] | None = None,
        *,
        lingers: bool = True,
    ) -> list[Problem]:
        """Build what a coming version needs. Returns why it can't be built; then nothing of it is kept.

        What is staged for another one stays: a version and one on trial beside it may come together.

        Args:
            config: Its configuration.
            tell: Called with a name before each build.
            seconds: How long each build on a loop may take; 0.0: no limit.
            only: What to build. None: all that is declared.
            lingers: As in `Things`.
        """
        if not self.declared or self._why_not:
            return []
        staged = self._known_from_now(Things(config, 0, lingers=lingers))
        with self._lock:
            self._staged.append(staged)
        newest = self._newest_contents()
        for derived in self._to_build(only):
            try:
                if newest is None or not self._stays(derived, staged, newest):
                    self._thing(derived, staged, tell, seconds)
            except building.NeedsLoop:
                continue  # nobody can have read it either
            except BaseException as error:  # also sys.exit(), a cancelled task or a green timeout is a veto
                problems = building.problems_of(derived, error, self._mask(error, config))
                if self._is_staged(staged):
                    self._closing.drop(staged)
                return problems
        return []

    def catch_up(self, snapshot: Snapshot[Any], former: Things | None, seconds: float) -> list[Problem]:
        """Build what a version that is swapped in now lacks of what a former one has. Returns why it can't be built.

        That is what the vote on it could not build: what was declared, or got its event loop, only after the vote.

        Args:
            snapshot: The version.
            former: What is built of the former one.
            seconds: How long each build on a loop may take.
        """
        if former is None or self._why_not:
            return []
        things = self._things_of(snapshot)
        lacking = [each for each in list(former.contents.things) if each not in things.contents.things]
        for derived in self._to_build(lacking) if lacking else ():
            try:
                self._thing(derived, things, seconds=seconds)
            except building.NeedsLoop:
                continue
            except BaseException as error:
                return building.problems_of(derived, error, self._mask(error, things.config))
        return []

    def unstage(self) -> None:
        """Close what was built for versions that are not committed here."""
        with self._lock:
            former, self._staged = self._staged, []
        for staged in former:
            self._closing.drop(staged)

    def take_staged(self, config: Any, version: int, digest: bytes = b"", *, lingers: bool = True) -> Things | None:
        """The things of a version that is swapped in, or tried, now; those that were staged for it, if any."""
        with self._lock:
            staged = next((each for each in self._staged if each.config is config), None)
        if staged is not None and self._is_staged(staged):
            staged.version, staged.digest = version, digest
            for thing in staged.contents.things.values():
                thing.version = thing.version or version
            return staged
        return self._known_from_now(Things(config, version, digest, lingers=lingers)) if self.declared else None

    def _is_staged(self, staged: Things) -> bool:
        """Whether this was staged; it is no longer."""
        with self._lock:
            found = any(each is staged for each in self._staged)
            self._staged = [each for each in self._staged if each is not staged]
        return found

    def keep(self, things: Things | None, seconds: float) -> None:
        """Keep what a former version has for so long, in place of what was kept before; None: nothing."""
        if things is not None or self.declared:
            self._closing.keep(things, seconds)

    def replaced(self, former: Things | None, new: Things | None) -> None:
        """Note that the newest version has other things; the former ones are closed when their time has come."""
        if former is not None and former is not new:
            self._closing.replaced(former, new)

    # ---- tests

    def close_here(self) -> None:
        """Close in this thread what only ended versions of a test had."""
        self._closing.close_here()

    @contextlib.contextmanager
    def override(self, derived: Declaration, value: Any) -> Iterator[Any]:
        """As `Derived.override`."""
        users = [each for each in self.declared if each.uses(derived)]
        anew = Anew(self)
        derived.instead.append(value)
        for each in users:
            each.instead.append(anew)
        try:
            yield value
        finally:
            for each in users:
                each.instead.remove(anew)
            _remove(derived.instead, value)
            anew.close()

    # ---- ends and beginnings

    def begin(self) -> str:
        """Have things built again, after a fork or a `close()`. Returns why they were not; "" if they were."""
        why_not, self._why_not = self._why_not, ""
        return why_not

    def end(self, why_not: str) -> None:
        """At the end of a test's block: close here what it has built, and be as before `begin`."""
        self._why_not = why_not
        self._closing.close_here()

    def close(self) -> None:
        """Close all that is open, pinned or not."""
        self.unstage()
        self._closing.keep(None, 0.0)
        self._why_not = (
            f"what is derived of replica {self._name!r} was closed with it: call attach() before it is read again"
        )
        for things in self._alive():
            things.forget()
        self._closing.close_all()

    def after_fork(self) -> None:
        """Have nothing in a forked child; the parent's things stay as they are."""
        self._lock = threading.RLock()
        self._inherited += [self._closing, *self._staged, *(things.forget() for things in self._alive())]
        for things in self._alive():
            things.building = threading.RLock()
        self._closing = Closing(self._masked, self._bound)
        self._staged, self.loop = [], None
        if self.declared:
            self._why_not = (
                f"what is derived of replica {self._name!r} belongs to the process that forked this one: call "
                "attach() in this process"
            )

    # ---- counting

    def kept(self, derived: Declaration) -> tuple[Kept, ...]:
        """The objects of former versions that are still open, the oldest first."""
        in_use = self._in_use()
        now, alive = time.monotonic(), self._alive()
        kept = []
        for thing in self._closing.open_things():
            if thing.derived is derived and not any(each.contents.things.get(derived) is thing for each in in_use):
                pins = sum(_pins_of(each) for each in alive if each.contents in thing.holders)
                kept.append(Kept(thing.version, now - thing.left_at if thing.left_at else 0.0, pins))
        return tuple(kept)

    # ---- inside

    def _in_use(self) -> list[Things]:
        """Those of the newest version, and of the one on trial beside it."""
        try:
            snapshots = [self._replica._snapshot]
        except NotAttached:
            return []
        if (trial := self._replica._trial) is not None:
            snapshots.append(trial.snapshot)
        return [each._things for each in snapshots if each._things is not None]

    def _to_build(self, only: Iterable[object] | None = None) -> list[Declaration]:
        with self._lock:
            wanted = list(self.declared)
        if only is not None:
            chosen = set(only)
            wanted = [each for each in wanted if each in chosen]
        return [each for each in wanted if not each.instead]

    def _things_of(self, snapshot: Snapshot[Any]) -> Things:
        with self._lock:
            if self._why_not:
                raise NotAttached(self._why_not)
            if snapshot._things is None:
                things = self._known_from_now(Things(snapshot.config, snapshot.version, snapshot.digest))
                object.__setattr__(snapshot, "_things", things)
                if snapshot is not self._replica._snapshot:
                    self._closing.watch(things)
            return snapshot._things  # type: ignore[return-value]

    def _known_from_now(self, things: Things) -> Things:
        with self._lock:
            if len(self._known) >= _MOST_KNOWN:
                self._known = [each for each in self._known if each() is not None]
            self._known.append(weakref.ref(things))
        return things

    def _alive(self) -> list[Things]:
        with self._lock:
            return [things for each in self._known if (things := each()) is not None]

    def _thing(self, derived: Declaration, things: Things, tell: _Tell = str, seconds: float = 0.0) -> Thing:
        """The thing of this version. Raises what its build raises."""
        if (found := things.contents.things.get(derived)) is not None:
            return found
        loop = self._bound()
        if derived.needs_loop and (loop is None or building.is_running_here(loop)):
            raise building.needs_loop(derived)
        if not things.building.acquire(timeout=LONGEST_WAIT):
            text = f"{derived.name} is waited for since {LONGEST_WAIT:g} s: another thread builds, and may wait for it"
            raise BuildError(derived.name, derived.key, [Problem(derived.key, text)])
        try:
            found = things.contents.things.get(derived)
            return found if found is not None else self._make(derived, things, tell, seconds)
        finally:
            things.building.release()

    def _newest_contents(self) -> Contents | None:
        try:
            newest = self._replica._snapshot._things
        except NotAttached:
            return None
        return newest.contents if newest is not None else None

    def _stays(self, derived: Declaration, staged: Things, newest: Contents) -> bool:
        """Have a coming version share the newest version's thing, if its part is the same: what `_thing` finds, sooner.

        Most changes leave most things as they are, and each worker's vote pays for all of them.
        """
        thing = newest.things.get(derived)
        if thing is None or thing.lingers != staged.contents.lingers:
            return False
        mine = staged.contents.things
        if any(mine.get(each.derived) is not each for each in thing.uses):
            return False
        if not self._is_of(thing, derived.select(staged.config)) or not self._closing.share(thing, staged.contents):
            return False
        staged.values[derived] = thing.value
        return True

    def _make(self, derived: Declaration, things: Things, tell: _Tell, seconds: float) -> Thing:
        uses = tuple(self._thing(each, things, tell, seconds) for each in derived.using)
        part = derived.select(things.config)
        thing = self._found(derived, part, uses, things.contents)
        if thing is None:
            tell(f"{path_of(derived.build).partition(':')[0]}:{derived.name}")
            thing = Thing(derived, part, uses, things, next(self._serial))
            thing.value = building.build(self._replica, thing, things, self._bound(), seconds)
            self._closing.add(thing, things.contents)
            if self._why_not:  # the replica was closed meanwhile
                self._closing.close_all()
                raise NotAttached(self._why_not)
        things.values[derived] = thing.value
        return thing

    def _found(self, derived: Declaration, part: Any, uses: tuple[Thing, ...], contents: Contents) -> Thing | None:
        """An open thing of the same part that uses the same things."""
        for thing in self._closing.newest_of(derived, _MOST_COMPARED):
            is_candidate = thing.uses == uses and thing.lingers == contents.lingers
            if is_candidate and self._is_of(thing, part) and self._closing.share(thing, contents):
                return thing
        return None

    def _is_of(self, thing: Thing, part: Any) -> bool:
        """Whether a thing was built of the same part. A part that is the same takes the place of the former one.

        So the next version, which a patch makes of this one, has that very object.
        """
        same, thing.written = self._same.compare(thing.part, part, thing.written)
        if same:
            thing.part = part
        return same

    def _bound(self) -> asyncio.AbstractEventLoop | None:
        loop = self.loop
        return None if loop is None or loop.is_closed() else loop

    def _forget_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Have what was built on a loop that is closed built anew: it can't be used or closed any more."""
        if loop is None or not loop.is_closed():
            return
        for thing in self._closing.open_things():
            if thing.loop is loop or any(each.loop is loop for each in thing.uses):
                for things in self._alive():
                    if things.contents.things.get(thing.derived) is thing:
                        del things.contents.things[thing.derived]
                        things.values.pop(thing.derived, None)
                self._closing.forgotten(thing)

    def _mask(self, error: BaseException, *configs: Any) -> Callable[[str], str]:
        return lambda text: self._masked(text, type(error).__name__, *configs) if text else text

    def _build_error(self, derived: Declaration, error: BaseException, things: Things) -> BuildError:
        return building.build_error(derived, error, self._mask(error, things.config))


class Anew:
    """In a unit test: things that use an overridden one, built with what stands in its place, and closed at the end."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._built: dict[tuple[Declaration, Things], Thing] = {}

    def read(self, derived: Declaration, things: Things) -> Any:
        """The object for a version, built at its first read. Raises what its build raises."""
        thing = self._built.get((derived, things))
        if thing is None:
            uses = tuple(_Stand(self._resources.read(each, _snapshot_of(things))) for each in derived.using)
            thing = Thing(derived, derived.select(things.config), uses, things, 0)  # type: ignore[arg-type]
            loop = self._resources._bound()
            thing.value = building.build(self._resources._replica, thing, things, loop, 0.0)
            self._built[derived, things] = thing
        return thing.value

    def close(self) -> None:
        """Close what was built, in reverse order."""
        for thing in reversed(list(self._built.values())):
            self._resources._closing.close_one(thing)
        self._built.clear()


class _Stand:
    """What is used, as `Part.call` asks for it."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _snapshot_of(things: Things) -> Snapshot[Any]:
    return Snapshot(things.config, things.version, things.digest, things)


def _remove(values: list[Any], value: Any) -> None:
    """Remove the newest entry that is this object: an application's `==` may say anything."""
    index = max(number for number, each in enumerate(values) if each is value)
    del values[index]


def _pins_of(things: Things) -> int:
    """How many open pins are of versions with these things. Looks at all objects of the process."""
    snapshots = [each for each in gc.get_referrers(things) if isinstance(each, Snapshot)]
    return sum(isinstance(each, Pin) for snapshot in snapshots for each in gc.get_referrers(snapshot))
