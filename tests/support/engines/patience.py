"""Servers that do nothing, and connections that do not wait for long until they give one up.

A test's other calls keep the five seconds of a product's connection: a busy machine may take a second for an answer.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Iterator

import pytest

from confcast.fleet import follower
from confcast.fleet.engines import ENGINES, engine
from tests.support.engines.server import Server

_SECONDS = 0.3


@contextlib.contextmanager
def impatient() -> Iterator[float]:
    """Within it, a connection waits for so many seconds for an answer, in the place of five."""
    names = [f"{engine.__package__}.{each.module}" for each in ENGINES.values()]
    with pytest.MonkeyPatch.context() as patched:
        for name in (follower.__name__, engine.__name__, *filter(importlib.util.find_spec, names)):
            if hasattr(module := importlib.import_module(name), "PATIENCE"):
                patched.setattr(module, "PATIENCE", _SECONDS)
        yield _SECONDS


@contextlib.contextmanager
def paused(server: Server) -> Iterator[float]:
    """Within it, the server does nothing, its connections stay open, and nobody waits for it for longer than this."""
    server.pause()
    try:
        with impatient() as seconds:
            yield seconds
    finally:
        server.resume()
