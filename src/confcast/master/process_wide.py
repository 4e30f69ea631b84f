"""The process-wide manager, under the names that LeIndex gave it: for programs that use one manager everywhere.

In a worker, which an owner of the same name serves already, the manager is only a client of that owner. A program that
has replaced itself by `exec` inherits the address of its former owner, which exits: the program starts a new owner.
Rejected: a second owner in such a worker (a configuration would have two contents).
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import threading
import warnings
from pathlib import Path
from typing import Any, Self, TypeVar, Unpack

from confcast.config.loader import ConfigLoader
from confcast.errors import NotAttached
from confcast.master import folders, sighup
from confcast.master.manager import ConfigReloadManager
from confcast.master.own_replica import OwnReplica
from confcast.wire.address import address_variable
from confcast.wire.messages import ReloadResult
from confcast.wire.options import ProcessOptions
from confcast.wire.role import refuse_in_owner
from confcast.worker import registry
from confcast.worker.client.connection_per_call import AddressClient

T = TypeVar("T")

_log = logging.getLogger("confcast.master")

_lock = threading.Lock()
_manager: ConfigReloadManager[Any] | None = None


def initialize_reload_manager(
    loader: ConfigLoader[T], enable_signal_handler: bool = True, **options: Unpack[ProcessOptions]
) -> ConfigReloadManager[T]:
    """Start this process's manager. A second call warns, and returns the first manager.

    The arguments are those of LeIndex's function. One difference is on purpose: this one loads at once, and raises if
    the configuration is refused (LeIndex's began with whatever there was, or with defaults).

    Args:
        loader: What to load; LeIndex's function took its configuration manager here.
        enable_signal_handler: Whether SIGHUP reloads; only in the main thread. Positional, as in LeIndex.
        **options: As `ConfigReloadManager` takes them.

    Returns:
        The manager, started. If `CONFCAST_ADDRESS_<NAME>` says that an owner of this name serves this process already
        (in a worker), the manager is only a client of that owner.

    Raises:
        ConfigError: The first load is refused.
        ConfcastError: As `ConfigReloadManager.start` says.
    """
    global _manager
    refuse_in_owner("initialize_reload_manager()")
    _hook_fork()
    with _lock:
        if _manager is not None and _manager._is_mine():
            warnings.warn("the reload manager is initialized already; this is the first one", RuntimeWarning, 2)
            return _manager
        address = _served_by(options.get("name", "app"))
        make = functools.partial(_Client, address=address) if address else ConfigReloadManager
        manager: ConfigReloadManager[T] = make(loader, enable_signal_handler=enable_signal_handler, **options)
        _manager = manager.start()
        return _manager


def get_reload_manager() -> ConfigReloadManager[Any]:
    """The manager that `initialize_reload_manager` started in this process.

    Raises NotAttached (a RuntimeError) if there is none; LeIndex's function returned None.
    """
    if _manager is None or not _manager._is_mine():
        raise NotAttached("no reload manager in this process: call initialize_reload_manager(loader) first")
    return _manager


def reload_config() -> ReloadResult:
    """Reload by this process's manager: `get_reload_manager().reload_config()`. Raises NotAttached (a RuntimeError).

    Unlike LeIndex's function it returns UNCHANGED, which is true, if nothing differs, and waits for a running reload.
    """
    return get_reload_manager().reload_config()


def _served_by(name: str) -> str:
    """The address of another process's owner that serves this process; "" if there is none."""
    address = os.environ.get(address_variable(name), "")
    return "" if folders.is_of_a_former_program(address) else address


@functools.cache
def _hook_fork() -> None:
    """Register the fork handler: once in a process, with its first manager, since an import registers nothing."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_unlock)


def _unlock() -> None:
    """Replace the lock in a forked child: a thread that holds it while it starts an owner exists in the parent only."""
    global _lock
    _lock = threading.Lock()


def _warn_elsewhere(text: str, *arguments: object) -> None:
    """Log a warning in a new thread, since the code that the signal interrupted may hold the lock of a log handler."""
    thread = threading.Thread(target=_log.warning, args=(text, *arguments), name="confcast-lost", daemon=True)
    with contextlib.suppress(RuntimeError):  # no thread can be started
        thread.start()


class _Client(ConfigReloadManager[T]):
    """A manager for a process that is served by another process's owner."""

    def __init__(
        self, loader: ConfigLoader[T], *, address: str, enable_signal_handler: bool, **options: Unpack[ProcessOptions]
    ) -> None:
        super().__init__(loader, enable_signal_handler=enable_signal_handler, **options)
        self._client_of = address
        self._attached_here = False

    @property
    def address(self) -> str:
        """The control socket of the owner that serves this process now. Raises NotAttached."""
        super().address  # noqa: B018 - raises before start()
        provider = registry.provider_of(self.name)
        return (provider.address if provider is not None else "") or self._client_of

    def start(self) -> Self:
        """Attach this process. Raises as `Replica.attach` does."""
        self._folder, self._pid = Path(self._client_of).parent, os.getpid()
        self._own = OwnReplica(self._loader, self.name, self._client_of)
        known = registry.attached(self.name)
        self._attached_here = self._attached() is not known
        if self._options.enable_signal_handler:
            sighup.reload_on_hup(self.request_reload, self.name)
        return self

    def close(self) -> None:
        """Detach this process, unless it was attached before. The owner goes on: it is another process's."""
        if self._is_mine():
            if self._attached_here:
                self._detach()
            self._own = None
            sighup.no_longer(self.request_reload)
            self._folder = None

    def _answers_within(self) -> float:
        """Seconds within which the owner answers, as it says itself: its options are another manager's."""
        replica = registry.attached(self.name)
        return replica._answers_within() if replica is not None else super()._answers_within()

    @property
    def owner_pid(self) -> int:
        """The owner's process id, as the owner reports it. Raises OwnerUnavailable."""
        return int(self.get_stats()["owner_pid"])

    def request_reload(self) -> None:
        """Ask for a reload, and return at once; for signal handlers, since it raises nothing."""
        if self._folder is None or self._pid != os.getpid():
            return
        address = self.address
        if not AddressClient(address, self.name).request_reload():
            _warn_elsewhere("no config owner listens at %s: the reload that was asked for is lost", address)
