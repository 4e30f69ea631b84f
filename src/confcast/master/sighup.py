"""SIGHUP in a process with managers: one handler has each of them reload its configuration.

The first manager with the option sets the handler, and the end of the last one restores the program's own. Python sets
handlers in the main thread only: in another thread none is set or restored. Rejected: a handler for each manager (a HUP
would reload the last one only, and if they end in another order, the program's own would be lost).
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple

from confcast.log_fields import about

_log = logging.getLogger("confcast.master")


class _Entry(NamedTuple):
    pid: int  # a forked child inherits the list, and reloads only what it started itself
    reload: Callable[[], None]


_entries: list[_Entry] = []
_before: Any = signal.SIG_DFL


def reload_on_hup(reload: Callable[[], None], name: str) -> None:
    """Have SIGHUP call `reload`, which returns at once. Outside the main thread, only warn; `name` is for the log."""
    global _before
    if threading.current_thread() is not threading.main_thread():
        _log.warning(
            "SIGHUP will not reload %r: a handler can be set in the main thread only",
            name,
            extra=about("no_signal_handler", name=name),
        )
        return
    if signal.getsignal(signal.SIGHUP) is not _on_sighup:
        before = signal.signal(signal.SIGHUP, _on_sighup)
        _before = signal.SIG_DFL if before is None else before
    _entries.append(_Entry(os.getpid(), reload))


def no_longer(reload: Callable[[], None]) -> None:
    """Have SIGHUP call `reload` no more. After the last one, restore the former handler, unless ours was replaced."""
    entry = _Entry(os.getpid(), reload)
    if entry not in _entries:
        return
    _entries.remove(entry)
    if any(other.pid == entry.pid for other in _entries) or signal.getsignal(signal.SIGHUP) is not _on_sighup:
        return
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGHUP, _before)
    else:
        _log.warning(
            "SIGHUP keeps a handler that does nothing: only the main thread can set it back",
            extra=about("signal_handler_kept"),
        )


def _on_sighup(number: int, frame: FrameType | None) -> None:
    for entry in _entries.copy():
        if entry.pid == os.getpid():
            entry.reload()
