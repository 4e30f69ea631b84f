"""The traceback of an error from an application's function, from the application's own frame on.

An error tracker sends the local variables of each frame of a logged exception. The frames before the application's are
those of confcast and of the libraries through which it calls the application: they don't help the application's author,
and their variables may be parts of a configuration. Guaranteed: a logged traceback begins in the application. An error
that passes through confcast to the application, for example out of `changes()`, keeps confcast's frames, which hold no
configuration (`worker/observers/delivery.py`).

Rejected: logging no exception at all (the author needs the place), and masking the variables (a tracker reads them
from the frames).
"""

from __future__ import annotations

import sys
from types import FrameType, TracebackType

_LIBRARIES = frozenset({"confcast", "pydantic", "msgspec", "yaml", *sys.stdlib_module_names})
_AN_APPLICATION = "confcast.examples"


def from_the_application(error: BaseException) -> TracebackType | None:
    """The traceback from the application's first frame on; None if it has no frame of the application."""
    trace = error.__traceback__
    while trace is not None and is_of_a_library(trace.tb_frame):
        trace = trace.tb_next
    return trace


def to_be_logged(error: BaseException) -> BaseException:
    """The same error with the traceback from the application's first frame on; with the whole one if it has none."""
    trace = from_the_application(error)
    return error if trace is None else error.with_traceback(trace)


def is_of_a_library(frame: FrameType) -> bool:
    """Whether this code is confcast's, or of a library through which it calls an application's function."""
    name = str(frame.f_globals.get("__name__", ""))
    return name.partition(".")[0] in _LIBRARIES and not name.startswith(_AN_APPLICATION)
