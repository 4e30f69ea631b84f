"""A forked child that does one thing and is gone: it never becomes a second test run, whatever it raises."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable


def holds_in_child(condition: Callable[[], bool]) -> bool:
    """Whether the condition is true in a fork of this process. What it raises there is printed, and false."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    status = 1
    try:
        status = 0 if condition() else 1
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
