"""Skips a file of tests that run programs with packages that are not there, and imports none of these.

Rejected: `pytest.importorskip`, which imports what only those programs need: each process of the suite reads each file.
"""

from __future__ import annotations

import importlib.util

import pytest


def installed_or_skip(*packages: str) -> None:
    """Skip the rest of the file unless all of these packages are installed."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}", allow_module_level=True)
