"""What the measured application is configured by: one number, which each reload changes."""

from __future__ import annotations

import msgspec

from confcast import Replica


class Settings(msgspec.Struct, frozen=True):
    """The number that an answer shows."""

    number: int


settings = Replica(Settings, name="app")
