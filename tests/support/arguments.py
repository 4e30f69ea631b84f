"""Numbers on the command lines of scripts."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

N = TypeVar("N", int, float)


def above_zero(kind: Callable[[str], N]) -> Callable[[str], N]:
    """An argument's `type`: a number of this kind. 0 clients, or processes, would find nothing, and say so."""

    def number(text: str) -> N:
        found = kind(text)
        if not found > 0:
            raise argparse.ArgumentTypeError(f"a number above 0 is expected, and {text} was given")
        return found

    return number
