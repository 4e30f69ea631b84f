"""On what it ran: figures mean nothing without."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def describe(packages: Iterable[str]) -> dict[str, str]:
    """The machine, and the versions of these distributions."""
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    found = {
        "measured": datetime.now(UTC).strftime("%Y-%m-%d"),
        "CPU": _model(),
        "CPUs": str(len(os.sched_getaffinity(0))),
        platform.system(): platform.release().partition("-")[0],  # what follows is who built it
        platform.python_implementation(): platform.python_version(),
        "load average at the start": load,
    }
    return found | {package: _version(package) for package in dict.fromkeys(packages)}


def _model() -> str:
    """What the kernel calls the processor."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [value.strip() for key, _, value in (line.partition(":") for line in lines) if key.strip() == "model name"]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"
