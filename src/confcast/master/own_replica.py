"""The replica by which a manager's own process reads: attached with the first use of a value, ended with the manager.

What the process has declared under the manager's name is shared, so that both have one pipe; else one is made. An
object of this class lasts from one start of a manager to its close.

A close may come from another thread at any moment of an attach, which may take seconds. It does not wait for that, and
no replica outlives it: each of the two first writes down what it does, and then looks at what the other has written,
so at least one of them sees both, and ends the replica. What waits for a first version then is woken.

Rejected: one lock for both (a close would wait for an owner that does not answer).
"""

from __future__ import annotations

import threading
from typing import Any, Generic, TypeVar

from confcast.config.loader import ConfigLoader
from confcast.errors import NotAttached
from confcast.worker import registry
from confcast.worker.observers.dispatcher import Observers
from confcast.worker.replica import Replica

T = TypeVar("T")


class OwnReplica(Generic[T]):
    """One manager's. Every method may be called from any thread.

    Args:
        loader: Whose schema. It is imported with the first use of a value.
        name: The configuration's.
        address: The owner's control socket.
    """

    def __init__(self, loader: ConfigLoader[T], name: str, address: str) -> None:
        self._loader = loader
        self._name = name
        self._address = address
        self._attaching = threading.RLock()  # reentrant: a signal handler may read, too
        self._replica: Replica[T] | None = None
        self._ready: Replica[T] | None = None
        self._made: Replica[T] | None = None
        self._closed = False

    def attached(self) -> Replica[T]:
        """The replica, with a version. Of several threads the first attaches it, and the others wait.

        Raises:
            NotAttached: The manager is closed, or was meanwhile.
            ConfcastError: As `Replica.attach` says.
        """
        ready = self._ready
        if ready is not None and ready._provider is not None:  # the usual way, without the lock
            return ready
        schema = self._loader.schema  # before the lock: it may be imported for this, and an import has locks of its own
        with self._attaching:
            return self._attach(schema)

    def observers(self) -> Observers | None:
        """Those of a replica that is attached already, also by the one that declared it. Raises NotAttached."""
        declared = registry.attached(self._name)
        if declared is not None and declared.connected and self._is_ours(declared, self._loader.schema):
            return self.attached()._observers  # which waits for nothing
        ready = self._ready
        return ready._observers if ready is not None and ready._provider is not None else None

    def close(self) -> None:
        """End the replica; it stays ended."""
        self._closed = True
        self._ready = None
        replica, self._replica = self._replica, None
        if replica is not None:
            self._end(replica)

    def _attach(self, schema: type[T]) -> Replica[T]:
        self._raise_if_closed()
        replica = self._replica = self._found_or_made(schema)
        try:
            replica.attach(self._address, ignore_sighup=False)
            self._raise_if_closed()
        except BaseException:
            if self._closed:  # which may have come before there was anything to end
                self._end(replica)
            raise
        self._ready = replica
        return replica

    def _found_or_made(self, schema: type[T]) -> Replica[T]:
        attached = registry.attached(self._name)
        for replica in (*([attached] if attached is not None else []), *registry.declared()):
            if self._is_ours(replica, schema):
                return replica
        self._made = Replica(schema, name=self._name)
        return self._made

    def _is_ours(self, replica: Replica[Any], schema: type[T]) -> bool:
        named = replica.name == self._name and replica.schema is schema
        return named and not replica._is_elsewhere(self._address)

    def _end(self, replica: Replica[T]) -> None:
        replica.close()
        if replica is self._made:
            registry.withdraw(replica)

    def _raise_if_closed(self) -> None:
        if self._closed:
            raise NotAttached(f"the manager {self._name!r} is closed")
