"""Says what a thread that loads is waiting for, from its stack, which another thread may look at while it hangs.

It names the application's outermost function: a validator, or a source of its own. Where there is none, it names the
source or the watched file that is read (on a disk that hangs), or else the function of the standard library that the
application uses as a validator.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from types import FrameType

from confcast.config import contents
from confcast.config.sources import file_reads
from confcast.tracebacks import is_of_a_library

_READING = ("read", "_read", "read_noting", "read_for")
"""The functions that read a source, or a file that a source or a value names."""

_FILE_IN = {contents.__name__: "file", file_reads.__name__: "path"}
"""By module, the variable of such a function that has the file."""


def what_hangs(thread: int) -> str:
    """What this thread is doing, in words; "" where that is not known. May be called from any thread."""
    stack = list(_stack(sys._current_frames().get(thread)))
    foreign = next((frame for frame in stack if not is_of_a_library(frame)), None)
    if foreign is not None:
        return _shown(foreign)
    source = next((found for frame in reversed(stack) if (found := _source_of(frame))), None)
    if source is not None:
        return str(source)
    called = list(itertools.takewhile(_is_of_the_standard_library, reversed(stack)))
    return _shown(called[-1]) if 0 < len(called) < len(stack) else ""


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames of a thread, the outermost first."""
    frames = []
    while frame is not None:  # no recursion: a validator's recursion may have used up the depth
        frames.append(frame)
        frame = frame.f_back
    return reversed(frames)


def _is_of_the_standard_library(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in sys.stdlib_module_names


def _shown(frame: FrameType) -> str:
    code = frame.f_code
    return f"{frame.f_globals.get('__name__')}:{code.co_qualname} ({code.co_filename}:{frame.f_lineno})"


def _source_of(frame: FrameType) -> object:
    """The file or name of the source whose method this frame runs, or the file that it reads; else None."""
    if frame.f_code.co_name not in _READING:
        return None
    this = frame.f_locals.get("self")
    file = frame.f_locals.get(_FILE_IN.get(str(frame.f_globals.get("__name__")), ""))
    return file or getattr(this, "shown", None) or getattr(this, "path", None)
