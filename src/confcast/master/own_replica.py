"""The replica by which a manager's own process reads: attached at the first use of a value, closed with the manager.

A replica that the process has declared under the manager's name is shared, so that both have one pipe; otherwise one is
made. An `OwnReplica` lasts from one start of a manager to its close.

Another thread may close the manager at any moment of an attach, which may take seconds. The close does not wait for the
attach, and no replica outlives the close: each of the two first sets its flag, then reads the other's, so at least one
of them finds both set, and closes the replica. That wakes a thread that waits for a first version.

Rejected: one lock for both (a close would then wait for an owner that does not answer).
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
    """The replica of one manager. Every method may be called from any thread.

    Args:
        loader: The loader, whose schema is imported at the first use of a value.
        name: The configuration's name.
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
        """The replica, with a version. If several threads call this, the first attaches it, and the others wait.

        Raises:
            NotAttached: The manager was closed before, or meanwhile.
            ConfcastError: As `Replica.attach` says.
        """
        ready = self._ready
        if ready is not None and ready._provider is not None:  # the usual case, without the lock
            return ready
        schema = self._loader.schema  # before the lock: this may import the schema, and an import has locks of its own
        with self._attaching:
            return self._attach(schema)

    def observers(self) -> Observers | None:
        """The observers of a replica that the manager or the application has attached already. Raises NotAttached."""
        declared = registry.attached(self._name)
        if declared is not None and declared.connected and self._is_ours(declared, self._loader.schema):
            return self.attached()._observers  # waits for nothing
        ready = self._ready
        return ready._observers if ready is not None and ready._provider is not None else None

    def close(self) -> None:
        """Close the replica for good."""
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
            if self._closed:  # close() may have run before there was a replica to close
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
        replica._close()
        if replica is self._made:
            registry.withdraw(replica)

    def _raise_if_closed(self) -> None:
        if self._closed:
            raise NotAttached(f"the manager {self._name!r} is closed")
