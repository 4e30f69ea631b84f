"""A date that jumps, in owners alone: as if somebody had set the machine's clock.

The owner finds `sitecustomize.py` of this folder on its PYTHONPATH and adds to the date what a file says. Nothing of it
is in the product, and every other process of the test passes it by.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest


class Jumping:
    """For the owners that are started after it was made.

    Args:
        file: Where the difference is kept.
        patch: Sets the environment of this process.
    """

    def __init__(self, file: Path, patch: pytest.MonkeyPatch) -> None:
        self._file = file
        self.to(0)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("CONFCAST_TEST_JUMPING", str(file))

    def to(self, seconds: float) -> None:
        """From now on the owner's date is the true one and so many seconds."""
        fresh = self._file.with_suffix(".fresh")
        fresh.write_text(str(seconds))
        fresh.replace(self._file)
