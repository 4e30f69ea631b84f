"""What a request of the frameworks' examples sees, and in which worker."""

from __future__ import annotations

import os
from typing import Any

from confcast.examples.frameworks.settings import settings


def read() -> dict[str, Any]:
    """All of one version."""
    return {"pid": os.getpid(), "version": settings.version, "number": number()}


def number() -> int:
    """What the tests change."""
    return int(settings.current.greeting)
