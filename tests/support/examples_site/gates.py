"""Gates in the middle of a request."""

from __future__ import annotations

from pathlib import Path


def wait_at(folder: str, place: str) -> None:
    """Until the test opens that gate."""
    Path(folder, place, "gate").read_bytes()
