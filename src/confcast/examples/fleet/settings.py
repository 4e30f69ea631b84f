"""The configuration of the example, and a check of a version that the application makes itself."""

from __future__ import annotations

from pydantic import BaseModel, Field

from confcast import Replica


class Settings(BaseModel, frozen=True):
    """What is published.

    Attributes:
        greeting: What each answer says.
        tables: How many there are; the application can't work with more than 100.
    """

    greeting: str = Field(min_length=1)
    tables: int = Field(ge=1)


settings = Replica(Settings, name="shop")


@settings.healthcheck
def tables_fit() -> bool:
    """A no to what the schema allows, and only a running worker can tell: the host then takes the version back."""
    return settings.latest.tables <= 100
