"""A user's own source that takes as long to read as the test wants: what a file on a dead mount does."""

from __future__ import annotations

from pathlib import Path

import msgspec

from confcast.config.sources.layer import Layer


class Stuck(msgspec.Struct):
    """Adds nothing. While the file is a FIFO, reading it does not return, and neither does comparing content."""

    gate: str

    def read(self) -> Layer:
        """Everything, which is nothing."""
        Path(self.gate).read_bytes()
        return Layer("stuck", {})
