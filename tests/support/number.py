"""A schema of one number, for tests of what stands around a replica."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct):
    """The smallest that changes."""

    number: int = 0
