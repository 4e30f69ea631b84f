"""A master with a pool (tests/support/pools.py), as a test sees it."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path
from typing import Any

from tests.support.programs import Program
from tests.support.settings import write
from tests.support.waiting import eventually

_numbers = itertools.count(2)


class Pooled:
    """A program with a pool, and the file that its owner loads."""

    def __init__(self, file: Path, kind: str, method: str, *more: str) -> None:
        self.kind, self.method = kind, method
        self._file = file
        write(file, 1)
        # Python 3.12 warns of a fork beside threads. The resource tracker dies of a HUP for the group, and is replaced.
        warnings = ("-W", "error", "-W", "ignore::DeprecationWarning", "-W", "ignore:resource_tracker")
        self.program = Program(*warnings, "-m", "tests.support.pools", str(file), kind, method, *more, own_group=True)

    def ask(self, *command: Any) -> Any:
        return self.program.ask(*command)

    def everyone(self) -> dict[int, int]:
        """What each child reads, by pid."""
        return {int(pid): number for pid, number in self.ask("everyone").items()}

    def change(self) -> int:
        """A new number in the file."""
        number = next(_numbers)
        write(self._file, number)
        return number

    def reloaded(self) -> int:
        """Change and reload: afterwards every child has the new number."""
        number = self.change()
        result, version, _ = self.ask("reload")
        assert (result, version) == ("success", self.ask("version"))
        return number

    def hup(self, *, group: bool) -> None:
        """Send HUP to the master or to the whole group, and wait until every child has the version that it makes."""
        version = self.ask("version")
        (os.killpg if group else os.kill)(self.program.pid, signal.SIGHUP)
        eventually(lambda: self.ask("settled") == version + 1, "the version that the HUP makes")
