"""The traceback of what an application's function raised, from the application's own frame on.

An error tracker sends the local variables of each frame of a logged exception. The frames before the application's are
ours, and those of the libraries through which we call it: they tell the application's author nothing, and their
variables may be parts of a configuration. Guaranteed: what is logged with an exception begins where the application
does. Frames of ours in which an application's function runs hold no configuration either
(`worker/observers/delivery.py`): what the application raises through us, out of `changes()` say, keeps them.

Rejected: logging no exception at all (its author needs the place), and masking the variables (a tracker reads them by
itself).
"""

from __future__ import annotations

import sys
from types import FrameType, TracebackType

_LIBRARIES = frozenset({"confcast", "pydantic", "msgspec", "yaml", *sys.stdlib_module_names})
_AN_APPLICATION = "confcast.examples"


def from_the_application(error: BaseException) -> TracebackType | None:
    """The traceback from the first frame of the application's on; None where none of its frames is in it."""
    trace = error.__traceback__
    while trace is not None and is_of_a_library(trace.tb_frame):
        trace = trace.tb_next
    return trace


def to_be_logged(error: BaseException) -> BaseException:
    """The same error, its traceback cut to the application's frames; whole, where none of them is in it."""
    trace = from_the_application(error)
    return error if trace is None else error.with_traceback(trace)


def is_of_a_library(frame: FrameType) -> bool:
    """Whether this code is ours, or of a library through which we call an application's function."""
    name = str(frame.f_globals.get("__name__", ""))
    return name.partition(".")[0] in _LIBRARIES and not name.startswith(_AN_APPLICATION)
