"""What confcast runs in: a folder with small real programs, and the environment of one tool to run them with.

`tool` names what a test needs. The test is slow; the guide's table has a row with its name and these versions.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.support import server
from tests.support.waiting import DEADLINE, eventually

SITE = Path(__file__).parents[1] / "surroundings" / "site"
F = TypeVar("F", bound=Callable[..., Any])
_TO_INSTALL = 900
_TO_RUN = 6 * DEADLINE
"""Seconds for a whole program: each of its own waits has DEADLINE at most, and some tools make it slower twice."""


def tool(*requirements: str, beside: str = "") -> Callable[[F], F]:
    """Marks a test as one of a tool: slow, in an environment with these packages, which `room` has.

    Args:
        requirements: As pip has them, with their versions.
        beside: What else it is about, with its version, where that is no package of pip's.
    """

    def mark(test: F) -> F:
        test.requirements = requirements  # type: ignore[attr-defined]
        test.tried = [*(each.replace("==", " ") for each in requirements), *filter(None, [beside])]  # type: ignore[attr-defined]
        return pytest.mark.slow(pytest.mark.timeout(_TO_INSTALL)(test))

    return mark


_MORE_MIB = 3
"""What the memory of two owners that do the same may differ by."""


class Room(server.Server):
    """A folder with the programs of `tests/surroundings/site`, and what runs in it.

    Args:
        folder: For its files.
        environment: The tool's virtual environment.
    """

    def __init__(self, folder: Path, environment: Path) -> None:
        path = os.pathsep.join([str(environment / "bin"), os.environ["PATH"]])
        super().__init__(folder, environment={"PATH": path, "PYTHONPATH": "", "VIRTUAL_ENV": str(environment)})
        shutil.copytree(SITE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        self.bin = environment / "bin"
        self.python = str(self.bin / "python")
        self._wanted = 0

    def command(self, *arguments: str) -> list[str]:
        """A program of the environment, or of the system."""
        program, *rest = arguments
        mine = self.bin / program
        return [str(mine) if mine.exists() else program, *rest]

    def wanted(self) -> int:
        """As many workers as `serve` was given."""
        return self._wanted

    def variables(self, **variables: str) -> None:
        """For all that is started from now on."""
        self._environment.update(variables)

    # ---- programs that end by themselves

    def run(self, *command: str) -> list[dict[str, Any]]:
        """Run a program to its end, which must be a good one; what it said, line by line. Nothing may be left."""
        status = self._status_of(command)
        assert status == 0, f"{command} ended with {status}; its log:\n{self.log()}"
        self.assert_nothing_left()
        return self.said()

    def refused(self, *command: str) -> str:
        """Run a program to its end, which must be a bad one; its log. Nothing may be left."""
        assert self._status_of(command) == 1
        self.assert_nothing_left()
        return self.log()

    def _status_of(self, command: tuple[str, ...]) -> int:
        self.launch(*command)
        assert self._process is not None
        try:
            return self._process.wait(_TO_RUN)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{command} does not end; its log:\n{self.log()}") from None

    def said(self) -> list[dict[str, Any]]:
        """What the programs of the site have said so far: `say` of `site/telling.py`."""
        lines = (line.partition("SAID ")[2] for line in self.log().splitlines())
        return [json.loads(line) for line in lines if line]

    def owner_was(self) -> dict[str, Any]:
        """What the owner's process was, as the schema's validator has seen it."""
        return dict(json.loads((self.folder / "owner.json").read_text()))

    def run_alone(self, *command: str, **variables: str) -> None:
        """Run the program under its tool with an owner that is not to be instrumented, which is as without any tool."""
        plain = self._owner_of("python", "prefork.py")
        self.variables(OWNER_ALONE="yes", **variables)
        owner = self._owner_of(*command)
        self._environment.pop("OWNER_ALONE")
        assert owner["modules"] == plain["modules"]
        assert owner["threads"] == plain["threads"]
        assert owner["arguments"] == plain["arguments"]
        assert owner["mib"] <= plain["mib"] + _MORE_MIB

    def _owner_of(self, *command: str) -> dict[str, Any]:
        """What the owner of a program that reloads once was."""
        self.change("number = 1\n")
        self.run(*command)
        owner = self.owner_was()
        return owner | {"arguments": [each for each in owner["argv"][1:] if not each.isdigit()]}

    def do(self, *command: str) -> str:
        """Run a tool that has nothing to do with confcast's processes: a build, a report. Its output."""
        done = subprocess.run(
            self.command(*command),
            cwd=self.folder,
            env={**os.environ, **self._environment, **self._marks()},
            capture_output=True,
            text=True,
            timeout=_TO_INSTALL,
            check=False,
        )
        assert done.returncode == 0, (
            f"{command} ended with {done.returncode}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
        return done.stdout

    # ---- servers

    def free_port(self) -> int:
        """One that was free just now, for servers that can't be given port 0."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        return self.port

    def serve(self, *command: str, workers: int) -> set[int]:
        """Start a server at `free_port()`, and return when so many workers answer with the number 1; their pids."""
        self._wanted = workers
        self.launch(*command)
        eventually(lambda: self._accepts() or not self._is_running(), "a server that listens", 2 * DEADLINE)
        assert self._is_running(), f"it ended before it listened; its log:\n{self.log()}"
        return self.all_have(1)

    def all_have(self, number: int) -> set[int]:
        """Return when every worker answers with that number; their pids."""
        self._one_each: dict[int, int] = {}

        def have() -> bool:
            self._one_each = {pid: answer["number"] for pid, answer in self.everyone().items()}
            return set(self._one_each.values()) == {number}

        try:
            eventually(have, f"the number {number} in every worker")
        except (AssertionError, OSError) as error:
            raise AssertionError(f"{error}: {self._one_each}; its log:\n{self.log()}") from None
        return set(self._one_each)
