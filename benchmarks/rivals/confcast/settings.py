"""The schema, and this process's copy."""

from pydantic import BaseModel

from confcast import Replica


class Settings(BaseModel, frozen=True):
    """Two settings that belong together."""

    left: int
    right: int = 0


settings = Replica(Settings)
