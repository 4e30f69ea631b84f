"""The settings of the application that servers serve in the tests; copied for each server, and edited there."""

from __future__ import annotations

import msgspec

from confcast import Replica


class Settings(msgspec.Struct):
    """What the tests change."""

    number: int
    name: str = "one"


settings = Replica(Settings, name="app")
