"""The schema, and this process's copy of the configuration, for the owner, the main program and its children."""

from __future__ import annotations

from pydantic import BaseModel, Field

from confcast import Replica


class Settings(BaseModel, frozen=True, extra="forbid"):
    """The values by which items are done."""

    greeting: str = "hello"
    times: int = Field(default=1, ge=1, le=10)


settings = Replica(Settings, name="queue")
