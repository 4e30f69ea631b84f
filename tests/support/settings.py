"""The schema that the real processes share: imported by owner, master and workers alike."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

SCHEMA = "tests.support.settings:Settings"

validated = 0
"""How often a validator below has run in this process: in a worker it stays 0."""


DEEDS: dict[str, Callable[[], object]] = {
    "": lambda: None,
    "leave": lambda: sys.exit(0),
    "take all memory": lambda: bytearray(1 << 40),
    "leave at once": lambda: os._exit(0),
    "segfault": lambda: ctypes.string_at(0),  # in this very thread; a signal is for any of them, and the load goes on
    "be killed by the kernel": lambda: os.kill(os.getpid(), signal.SIGKILL),
}
"""What a load does to the process that it runs in, by the configuration's `deed`."""


class Limits(BaseModel):
    """Two fields that depend on each other."""

    model_config = ConfigDict(extra="forbid")

    low: int = Field(default=0, ge=0)
    high: int = Field(default=100, le=1000)

    @model_validator(mode="after")
    def _in_order(self) -> Limits:
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) must not be above high ({self.high})")
        return self


class Settings(BaseModel):
    """`twin` always equals `number`: a reader who ever sees them differ has seen half a change.

    A load reads the file that `gate` names to its end: while that is a FIFO, the load takes as long as the test wants.
    """

    model_config = ConfigDict(extra="forbid")

    number: int = Field(strict=True, ge=0, le=1_000_000)
    twin: int
    name: str = "one"
    limits: Limits = Limits()
    tags: list[str] = []
    gate: str = ""
    deed: str = ""

    @field_validator("deed")
    @classmethod
    def _do(cls, value: str) -> str:
        DEEDS[value]()
        return value

    @field_validator("gate")
    @classmethod
    def _pass_the_gate(cls, value: str) -> str:
        global validated
        validated += 1
        if value:
            Path(value).read_bytes()
        return value

    @model_validator(mode="after")
    def _twins(self) -> Settings:
        if self.number != self.twin:
            raise ValueError(f"twin ({self.twin}) must equal number ({self.number})")
        return self


def numbered(number: int, name: str = "one") -> Settings:
    """A configuration as it is loaded."""
    return Settings(number=number, twin=number, name=name)


def text(number: int, **others: Any) -> str:
    """A configuration as TOML."""
    values = {"number": number, "twin": number, **others}
    return "".join(f"{key} = {value!r}\n" for key, value in values.items())


def write(path: Path, number: int, **others: Any) -> None:
    """Put a configuration into the file, atomically: a watcher or a load never sees half of it."""
    fresh = path.with_name(f".{path.name}.fresh")
    fresh.write_text(text(number, **others))
    fresh.replace(path)


class Backend(BaseModel, frozen=True):
    """A part of the frozen schema."""

    host: str
    port: int = 80


class Frozen(BaseModel, frozen=True):
    """A schema of which only changes travel: two versions may share parts of it."""

    number: int
    backends: dict[str, Backend] = {}


class Uncarried(BaseModel):
    """Has a field that no other process could be given."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    number: int = 1
    lock: type(threading.Lock()) | None = None  # type: ignore[valid-type]
