"""On what it ran: figures mean nothing without."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version


def describe(packages: Iterable[str]) -> dict[str, str]:
    """The machine, and the versions of these distributions."""
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    found = {
        "measured": datetime.now(UTC).strftime("%Y-%m-%d"),
        "CPUs": str(len(os.sched_getaffinity(0))),
        platform.system(): platform.release(),
        platform.python_implementation(): platform.python_version(),
        "load average at the start": load,
    }
    return found | {package: _version(package) for package in dict.fromkeys(packages)}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"
