"""The schema, and this process's copy of the configuration, imported by every reader; declaring starts nothing."""

from __future__ import annotations

from pydantic import BaseModel

from confcast import Replica


class Settings(BaseModel, frozen=True):
    """What may change while the application serves."""

    greeting: str = "hello"


settings = Replica(Settings, name="app")
