"""Virtual environments with confcast, as a wheel, and a tool in a pinned version: one for each tool, for one session.

They are made with the interpreter that runs the tests. What confcast needs has the versions of `.constraints/`, and a
tool's own needs have those that pip finds today, as in an application that pins what it names.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
_PATIENCE = 900
_CORE = ("msgspec", "pydantic", "watchfiles")
_CONFLICT = "ResolutionImpossible"
"""What pip says of requirements that exclude each other: that is no missing network, but a fault of ours."""


class Environments:
    """Made when they are first asked for.

    Args:
        folder: For all of them; whoever made it takes it away.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[tuple[str, ...], Path] = {}

    def get(self, *requirements: str) -> Path:
        """The folder of an environment with confcast and these. Skips the test where pip can't get them."""
        if requirements not in self._made:
            self._made[requirements] = self._make(requirements)
        return self._made[requirements]

    def wheel(self) -> Path:
        """Confcast as users install it."""
        dist = self._folder / "dist"
        if not dist.exists():
            _pip("wheel", "--no-deps", "--wheel-dir", str(dist), str(ROOT))
        (wheel,) = dist.iterdir()
        return wheel

    def _make(self, requirements: tuple[str, ...]) -> Path:
        place = self._folder / str(len(self._made))
        base = Path(sys.base_prefix, "bin", f"python{_HERE}")
        subprocess.run([base, "-m", "venv", "--without-pip", place], check=True, timeout=_PATIENCE)
        _pip("--python", str(place), "install", *_tried(), str(self.wheel()), *requirements)
        return place


def _tried() -> list[str]:
    """What confcast itself needs, and nothing else of the lock: its tests need more, and a tool may exclude that."""
    constraints = ROOT / ".constraints" / f"{_HERE}.txt"
    locked = constraints.read_text(encoding="utf-8").splitlines() if constraints.exists() else []
    return [each for each in locked if each.partition("==")[0] in _CORE]


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr[-500:]]
        assert _CONFLICT not in done.stderr, done.stderr
        pytest.skip(f"pip {' '.join(arguments)}: {said[-1]}")
