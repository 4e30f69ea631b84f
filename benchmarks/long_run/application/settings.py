"""What a long run's workers have: a schema, observers, a vote, a health check, and things that are built from it."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from pydantic import BaseModel, SecretStr, model_validator

from confcast import Replica


class Route(BaseModel, frozen=True):
    """Of these a content has more or fewer."""

    url: str
    weight: int
    timeout: float = 2.0


class Pool(BaseModel, frozen=True):
    """What a connection is made from."""

    size: int
    password: SecretStr


class Settings(BaseModel, frozen=True):
    """`tuned` is for `set`, `published` is what the fleet's engine gives."""

    serial: int
    veto: bool = False
    sick: bool = False
    pool: Pool
    routes: dict[str, Route]
    tuned: int = 0
    published: int = 0

    @model_validator(mode="after")
    def _is_a_serial(self) -> Settings:
        if self.serial <= 0:
            raise ValueError("serial: a number above 0 is expected")
        return self


settings = Replica(Settings, name="app")


class Connection:
    """Holds two descriptors until it is closed, as a pool's connection would."""

    def __init__(self, pool: Pool) -> None:
        self.size, self._ends = pool.size, socket.socketpair()

    def close(self) -> None:
        """Give them back."""
        for end in self._ends:
            end.close()


class Router:
    """Is rebuilt with each version, and with its connection."""

    def __init__(self, serial: int, connection: Connection) -> None:
        self.serial, self.connection = serial, connection


connection = settings.derive(Connection, lambda c: c.pool, close=Connection.close, linger=0.05)
router = settings.derive(Router, lambda c: c.serial, using=connection, linger=0.05)


@settings.precommit
def vote(old: Settings | None, new: Settings) -> None:
    if new.veto:
        raise ValueError(f"content {new.serial} wants a veto")


@settings.healthcheck
def is_well() -> bool:
    return not settings.current.sick


@settings.identify
def entity(headers: Mapping[str, str]) -> str | None:
    return headers.get("x-entity")


class Seen:
    """What observers have been told: numbers alone, so that they keep no configuration."""

    all = parts = settled = 0


def observe(old: Settings | None, new: Settings) -> None:
    Seen.all += 1


def observe_a_part(old: Pool | None, new: Pool) -> None:
    Seen.parts += 1


def observe_settled(old: Settings | None, new: Settings) -> None:
    Seen.settled += 1


settings.subscribe(observe)
settings.subscribe(observe_a_part, select=lambda c: c.pool)
settings.subscribe(observe_settled, on="settled")
