"""Deadlines that belong to no wait: of an override, of a window, of a trial."""

from __future__ import annotations

from confcast.owner.core import effects as fx
from confcast.owner.core.operator_state import Window

NO_TOKEN = -1
"""Their token: the core compares the time anyway."""


def window_timers(window: Window | None, before: Window | None) -> list[fx.WakeAt]:
    """The deadlines of this window that the one before did not have."""
    if window is None:
        return []
    known = before or Window(0)
    confirm = [fx.WakeAt(fx.Timer.CONFIRM, NO_TOKEN, window.deadline)] if window.deadline else []
    proven = [fx.WakeAt(fx.Timer.PROVEN, NO_TOKEN, window.proves)] if window.proves else []
    return [
        *(confirm if window.deadline != known.deadline else ()),
        *(proven if window.proves != known.proves else ()),
    ]
