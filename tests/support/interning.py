"""What goes into the interpreter's table of strings: where names go on for ever, nothing of them may."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


def interned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is interned from now on, as far as Python code interns it: `pathlib` does, up to Python 3.13."""
    found = list[str]()
    monkeypatch.setattr(sys, "intern", lambda text: found.append(text) or text)
    str(Path("/proc/1234567"))
    assert ("1234567" in found) is (sys.version_info < (3, 14)), "pathlib interns in another way: look for it anew"
    found.clear()
    return found
