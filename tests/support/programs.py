"""Programs that a test starts, sends commands to, a line each, and ends."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.waiting import DEADLINE

ROOT = Path(__file__).parents[2]
LIFETIME = 2.5 * DEADLINE
"""Seconds for a whole program: its interpreter, its owner's and a child's start one after the other, and import all."""


class Program:
    """A program that answers each line of JSON with one.

    Args:
        arguments: For the interpreter.
        own_group: It and its children are a process group of their own, which can be signalled.
    """

    def __init__(self, *arguments: str, own_group: bool = False) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            process_group=0 if own_group else None,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        )
        self.pid = self._process.pid
        try:
            assert self.answer(2 * DEADLINE) == "ready"  # it imports all that it needs
        except BaseException:
            self.kill()
            raise

    def ask(self, *command: Any) -> Any:
        """Have it do something, and wait for what comes back."""
        self.tell(*command)
        return self.answer()

    def tell(self, *command: Any) -> None:
        """Have it do something; `answer` waits for what comes back."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def answer(self, deadline: float = DEADLINE) -> Any:
        """The next line that it says."""
        assert self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], deadline)[0], "the program does not answer"
        line = self._process.stdout.readline()
        assert line, "the program has ended; standard error says why"
        return json.loads(line)

    def kill(self) -> None:
        """With -9; returns when it is gone."""
        self._process.kill()
        self._process.wait(DEADLINE)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def end(self) -> int:
        """Ask it to end, and wait; its exit status."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            return self._process.wait(DEADLINE)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()


def run(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program to its end, in its own folder."""
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=script.parent,
        capture_output=True,
        text=True,
        timeout=LIFETIME,
        check=False,
    )
