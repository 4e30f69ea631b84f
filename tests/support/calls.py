"""Counts calls of functions, Python's and C's: a cost that depends on no clock."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def calls(act: Callable[[], Any], *, of_file: str = "") -> int:
    """How many functions are called, generators that go on among them.

    Args:
        act: What calls them, in this thread.
        of_file: Only functions of Python's in a file whose name ends so.
    """
    count = 0

    def seen(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        if of_file:
            count += event == "call" and frame.f_code.co_filename.endswith(of_file)
        else:
            count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        act()
    finally:
        sys.setprofile(before)
    return count
