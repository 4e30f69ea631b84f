"""The replicas of this process, declared and attached, and the fork hook that disconnects them in a child.

A replica is registered when it is declared, by weak reference. Server modules attach all declared replicas, and
`current(Settings)` finds the one replica of a schema. The hook is set with the first declaration, and not at import.

A middleware that is given no replica asks for all that are declared at each request. While all of them are attached,
and so kept alive here, they are at hand as a tuple: 0.05 µs, where looking up two weak references takes 0.5.
"""

from __future__ import annotations

import functools
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, TypeVar, overload

from confcast.errors import ConfcastError, NotAttached

if TYPE_CHECKING:
    from confcast.worker.replica import Provider, Replica

T = TypeVar("T")

_declared: list[weakref.ref[Any]] = []
_attached: dict[str, Any] = {}
_all_attached: tuple[Any, ...] = ()
"""All declared replicas, while each of them is attached; () while one is not, or that is not known."""
_changes = 0
_lock = threading.RLock()  # reentrant: the collector may run while it is held, and a finalizer may close a replica


def declare(replica: Replica[Any]) -> None:
    """Register a replica. Called by its constructor."""
    with _lock:
        _declared[:] = [known for known in _declared if known() is not None]
        _declared.append(weakref.ref(replica))
        _changed()
        _hook_fork()


def withdraw(replica: Replica[Any]) -> None:
    """Unregister a replica that no application declared: a manager's own, when the manager is closed."""
    with _lock:
        _declared[:] = [known for known in _declared if known() is not replica]
        _changed()


def declared() -> tuple[Replica[Any], ...]:
    """Every replica declared in this process, in the order of declaration."""
    return _all_attached or _look_up()


def _look_up() -> tuple[Replica[Any], ...]:
    global _all_attached
    with _lock:
        seen = _changes
        found = tuple(replica for known in list(_declared) if (replica := known()) is not None)
        are_attached = all(_attached.get(replica.name) is replica for replica in found)
        if are_attached and seen == _changes:  # a finalizer may have run meanwhile
            _all_attached = found
    return found


def _changed() -> None:
    """A replica was declared, withdrawn, attached or closed. Called with the lock held."""
    global _all_attached, _changes
    _changes += 1
    _all_attached = ()


@overload
def current(schema: type[T]) -> T: ...
@overload
def current() -> Any: ...
def current(schema: type[Any] | None = None) -> Any:
    """The configuration of this process's only replica of a schema: inside a pin the pinned one, otherwise the newest.

    Args:
        schema: The replica's schema; may be left out where only one replica is declared.

    Raises:
        NotAttached: No such replica is declared, or it is not attached.
        ConfcastError: Several such replicas are declared; the error names them.
    """
    found = [replica for replica in declared() if schema is None or replica.schema is schema]
    if len(found) == 1:
        return found[0].current
    wanted = "replica" if schema is None else f"replica of {schema.__name__}"
    if not found:
        raise NotAttached(f"no {wanted} is declared in this process: import the module that declares it")
    names = ", ".join(repr(replica.name) for replica in found)
    raise ConfcastError(f"{len(found)} replicas could be meant ({names}): read the one you want")


def take_name(replica: Replica[Any]) -> None:
    """Register this replica as the attached one of its name. Raises ConfcastError if another one is attached."""
    with _lock:
        held = _attached.setdefault(replica.name, replica)
        _changed()
    if held is not replica:
        if not replica._was_declared_again(held):
            raise ConfcastError(f"another replica named {replica.name!r} is attached in this process; share that one")
        raise ConfcastError(
            f"the module {replica._declared_in!r} has been executed again (importlib.reload does), and the replica "
            f"{replica.name!r} that its former run declared is still attached. Close that one before the module is "
            "reloaded; by now it is among confcast.declared() only"
        )


def release_name(replica: Replica[Any]) -> None:
    """Undo `take_name`, if this replica is the attached one of its name."""
    with _lock:
        if _attached.get(replica.name) is replica:
            del _attached[replica.name]
            _changed()


def attached(name: str) -> Replica[Any] | None:
    """The replica that is attached under this name; None if there is none."""
    return _attached.get(name)


def provider_of(name: str) -> Provider | None:
    """The object that gives its value to the replica attached under this name; None if none is attached."""
    replica = attached(name)
    return replica._provider if replica is not None else None


@functools.cache
def _hook_fork() -> None:
    if hasattr(os, "register_at_fork"):  # Windows has no fork; `override()` works there
        os.register_at_fork(
            before=lambda: _lock.acquire(), after_in_parent=lambda: _lock.release(), after_in_child=_in_child
        )


def _in_child() -> None:
    _attached.clear()
    _changed()
    _lock.release()
    for replica in declared():
        replica._after_fork()
