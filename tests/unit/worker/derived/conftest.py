"""A replica without an owner, and things that say when they are built and closed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest

from confcast import Replica, Secret


@dataclass(frozen=True)
class Database:
    """A part with a secret."""

    url: str = "db"
    password: Annotated[str, Secret] = "hush-hush"


@dataclass(frozen=True)
class Settings:
    """The schema; small, and no pydantic."""

    number: int = 1
    name: str = "one"
    database: Database = Database()


@dataclass
class Told:
    """What was built and closed, in order, as text."""

    built: list[Any] = field(default_factory=list)
    closed: list[Any] = field(default_factory=list)

    def build(self, part: Any, *using: Any) -> tuple[Any, ...]:
        """A thing of this part; 13 can't be built."""
        if part == 13:
            raise ValueError("13 brings bad luck")
        self.built.append(part)
        return (part, *using)

    def close(self, thing: tuple[Any, ...]) -> None:
        """Close it."""
        self.closed.append(thing[0])


@pytest.fixture
def replica() -> Iterator[Replica[Settings]]:
    replica = Replica(Settings, name="derived")
    yield replica
    replica._resources.close()


@pytest.fixture
def told() -> Told:
    return Told()
