"""Rollouts as people begin them: `confcast fleet publish`, a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests.support.waiting import DEADLINE


class Rollout:
    """One, from `with` to its end.

    Args:
        url: The engine's.
        key: The key.
        file: The payload.
        options: Of the command, besides.
    """

    def __init__(self, url: str, key: str, file: Path, **options: str) -> None:
        self.command = [sys.executable, "-m", "confcast", "fleet", "publish", str(file), "--to", url, "--key", key]
        for name, value in options.items():
            self.command += [f"--{name.replace('_', '-')}", value]
        self.command.append("--json")
        self._process: subprocess.Popen[str] | None = None

    def wait(self, seconds: float = 3 * DEADLINE) -> tuple[int, list[dict[str, Any]]]:
        """Its exit status, and what it has said."""
        assert self._process is not None
        out, _ = self._process.communicate(timeout=seconds)
        return self._process.returncode, [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    def kill(self) -> None:
        """End it at once (kill -9)."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *about: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
