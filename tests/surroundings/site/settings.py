"""The settings of the programs here. Their validator runs in the owner only, and writes down what that process is."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from pydantic import BaseModel, field_validator

from confcast import Replica


def resident_mib() -> int:
    """The memory of this process."""
    (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmRSS:"))
    return int(line.split()[1]) // 1024


class Settings(BaseModel, frozen=True):
    """What the tests change."""

    number: int

    @field_validator("number")
    @classmethod
    def small(cls, number: int) -> int:
        """Write `owner.json`; forbid large numbers as far as asserts are on."""
        names = sorted({name.partition(".")[0] for name in sys.modules})
        about = {"pid": os.getpid(), "argv": sys.orig_argv, "optimize": sys.flags.optimize, "modules": names}
        about |= {"threads": len([*Path("/proc/self/task").iterdir()]), "mib": resident_mib()}
        Path("owner.json").write_text(json.dumps(about))
        assert number < 100, "too large"
        return number


settings = Replica(Settings, name="app")
