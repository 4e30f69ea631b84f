"""Time that passes at once, in owners alone: a deadline that has to pass is none that anything else has to keep.

The owner finds `sitecustomize.py` of this folder on its PYTHONPATH and adds to each of its clocks what a file says, to
the date as to those that count from a start. So a test may give a vote, a window or a value ten minutes, in which the
busiest machine does what has to be done before their end, and may have them end then.

Nothing of it is in the product, and every other process of the test passes it by. What waits for a program, for a lock
or for a server of somebody else's waits by the true clock.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from confcast import Client, ConfigReloadManager
from tests.support.stopping import await_stopped
from tests.support.waiting import LONG, eventually, history_of, in_thread

T = TypeVar("T")
Manager = ConfigReloadManager[Any] | Client


class Passing:
    """For the owners that are started after it was made.

    Args:
        file: Where it is kept how much has passed.
        patch: Sets the environment of this process.
    """

    def __init__(self, file: Path, patch: pytest.MonkeyPatch) -> None:
        self._file, self._passed = file, 0.0
        self._write()
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("CONFCAST_TEST_PASSING", str(file))

    def by(self, seconds: float, manager: Manager) -> None:
        """So much time passes for this manager's owner, which looks at its clock now."""
        self.meanwhile(seconds)
        history_of(manager)

    def meanwhile(self, seconds: float) -> None:
        """So much time passes, and nobody looks at a clock by that: for an owner that is yet to come."""
        self._passed += seconds
        self._write()

    def over_silence(self, manager: Manager, call: Callable[[], T], *stopped: int) -> T:
        """Call it; once these processes are stopped, and all others have answered, the deadline of a vote passes."""
        outcome = in_thread(call)
        for pid in stopped:
            await_stopped(pid)
        eventually(lambda: set(awaited(manager)) == set(stopped), f"that the owner waits for none but {stopped}")
        self.by(LONG, manager)
        return outcome()

    def over_load(self, manager: Manager, call: Callable[[], T]) -> T:
        """Call it; once the owner loads, which is to hang, a load's deadline passes."""
        outcome = in_thread(call)
        eventually(lambda: manager.get_stats()["phase"] == "loading", "a load")
        self.by(LONG, manager)
        return outcome()

    def over_functions(self, manager: Manager, call: Callable[[], T], *working: int) -> T:
        """Call it; once these processes run functions, and all others have answered, the deadline of those passes."""
        outcome = in_thread(call)

        def at_work() -> bool:
            functions = awaited(manager)
            return set(functions) == set(working) and all(functions.values())

        eventually(at_work, f"that the owner waits for the functions of {working}")
        self.by(LONG, manager)
        return outcome()

    def _write(self) -> None:
        fresh = self._file.with_suffix(".fresh")
        fresh.write_text(str(self._passed))
        fresh.replace(self._file)


def awaited(manager: Manager) -> dict[int, str]:
    """The processes that this manager's owner waits for, each with its function: of workers, once it has loaded."""
    return {each["pid"]: each["function"] for each in manager.get_stats()["waits_for"]}
