"""What every rival's application answers, in its own environment: the standard library alone.

A request looks at `left`, works for some milliseconds, and looks at `right`: two places of a program's code, each of
which asks for the setting that it needs. `/cost` says what one look at `left` takes, in nanoseconds.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable
from timeit import Timer
from typing import Any

WORK = 0.005
"""Seconds between the two looks."""

Look = Callable[[], object]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")


def answer(left: Look, right: Look) -> str:
    """One request's: what it saw, and who answered."""
    first = left()
    time.sleep(WORK)
    return f"{first} {right()} {os.getpid()}\n"


def cost(look: Look, seconds: float = 0.1) -> str:
    """Nanoseconds of a look, less those of a call of a function that does nothing: the best of three of so long.

    As many looks as that takes are found by doubling them: there is a rival whose looks take longer and longer.
    """
    looks, number = Timer(look), 1
    while (took := looks.timeit(number)) < seconds:
        number *= 2
    best = min(took, *looks.repeat(2, number)) - min(Timer(_nothing).repeat(3, number))
    return f"{max(0.0, best) / number * 1e9:.1f}\n"


def _nothing() -> None:
    pass


def application(left: Look, right: Look) -> Wsgi:
    """The whole program, for a rival that needs no framework of its own."""

    def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = (cost(left) if environ["PATH_INFO"] == "/cost" else answer(left, right)).encode()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body]

    return wsgi
