"""What a request of the frameworks' examples sees, and in which worker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import gates

from confcast.examples.frameworks.settings import settings


def read() -> dict[str, Any]:
    """All of one version."""
    return {"pid": os.getpid(), "version": settings.version, "number": number()}


def number() -> int:
    """What the tests change."""
    return int(settings.current.greeting)


def in_body(folder: str, first: int, second: int) -> Iterator[str]:
    """A body that waits at its gate: with what was read in the call, and what it reads behind the gate."""
    yield f"[{first}, {second}, "
    gates.wait_at(folder, "body")
    yield f"{number()}]"
