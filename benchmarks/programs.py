"""A program that is told numbers, a line each, and answers each with one line of JSON.

Guarantees: no answer is waited for without a deadline, and nothing outlives the context.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.server import PATIENCE


class Program:
    """One that runs.

    Args:
        process: With both pipes open, as text.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, number: float) -> Any:
        """Its answer to a number. Raises TimeoutError when there is none in time, or ever."""
        self.tell(number)
        return self.hear()

    def tell(self, number: float) -> None:
        """Have it begin; `hear` waits for the answer."""
        assert self._process.stdin is not None
        print(number, file=self._process.stdin, flush=True)

    def hear(self, patience: float = PATIENCE) -> Any:
        """The next answer, within so many seconds. Raises TimeoutError."""
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], patience)
        line = self._process.stdout.readline() if readable else ""
        if not line:
            raise TimeoutError(f"{self._process.args!r} did not answer within {patience:g} s, or died")
        return json.loads(line)


@contextmanager
def program(module: str, *arguments: object) -> Iterator[Program]:
    """`python -m benchmarks.MODULE ARGUMENTS`, running."""
    command: Sequence[str] = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        with process:
            yield Program(process)
            assert process.stdin is not None
            process.stdin.close()
            process.wait(PATIENCE)
    finally:
        process.kill()
