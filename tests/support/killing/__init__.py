"""Killing an owner in the middle of what it does: with -9, in its own process, at a line that the test names.

The owner finds `sitecustomize.py` of this folder on its PYTHONPATH and sets traps at its own functions. Nothing of it
is in the product, and every other process of the test passes it by.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.gate import Gate

PLACES = (
    "after the vote and before the journal",
    "after the journal and before the snapshot file",
    "after the snapshot file and before the first commit",
    "after the first commit",
    "after the answer",
)
STATE_PLACES = ("before the state alone is written", "after the state alone is written")
"""Those of a write that has no version: a confirmation, the begin of a trial."""
TRIAL_PLACES = (*STATE_PLACES, "after the first canary is told", PLACES[4])
"""Those of the begin of a trial."""
COMMITTED = PLACES[1:]
"""The places where the version is true already."""


class Killing:
    """For the owners that are started after `prepare`.

    Args:
        folder: For its files.

    Attributes:
        gate: While it is shut, the next owner stays at its start.
    """

    def __init__(self, folder: Path) -> None:
        self._order = folder / "killing"
        self.gate = Gate(folder / "killing.gate")

    def environment(self) -> dict[str, str]:
        """What an owner needs to have its traps."""
        path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        return {"PYTHONPATH": path, "CONFCAST_TEST_KILLING": str(self._order)}

    def prepare(self, patch: pytest.MonkeyPatch) -> None:
        """Owners that this process starts from now on have them."""
        for name, value in self.environment().items():
            patch.setenv(name, value)

    def order_at(self, place: str) -> None:
        """The next owner that comes to this place dies there. It is the only one."""
        fresh = self._order.with_suffix(".fresh")
        fresh.write_text(place)
        fresh.replace(self._order)

    @property
    def struck(self) -> bool:
        """Whether somebody has come to the place."""
        return not self._order.exists()
