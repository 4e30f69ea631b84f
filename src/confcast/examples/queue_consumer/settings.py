"""The schema, and this process's copy of it: imported by the owner, the main program and its processes alike."""

from __future__ import annotations

from pydantic import BaseModel, Field

from confcast import Replica


class Settings(BaseModel, frozen=True, extra="forbid"):
    """How items are done."""

    greeting: str = "hello"
    times: int = Field(default=1, ge=1, le=10)


settings = Replica(Settings, name="queue")
