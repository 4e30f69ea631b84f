"""Replicas that travel between processes, each declared in another way.

Of schemas and names of their own: they are declared in every process that has imported a test of them, for ever, and a
manager of another test would find them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from confcast import Replica
from tests.support import settings

N = TypeVar("N")


class Settings(settings.Settings):
    """The schema of all tests, as a class of its own."""


class Base(BaseModel, Generic[N]):
    """A generic schema; what is carried is a class of its own."""

    number: N
    twin: int


class OfInt(Base[int]):
    """Named, so that another process finds it."""


@dataclass
class Other:
    """Another schema, and the same name."""

    number: int = 1


plain = Replica(Settings, name="traveller")
of_another_name = Replica(Settings, name="second")
subscripted = Replica[OfInt](OfInt, name="generic")
of_another_schema = Replica(Other, name="traveller")


def declared_in_a_function() -> Replica[Settings]:
    """Not at import: a process that never calls this has none."""
    return Replica(Settings, name="inside")


def report(pipe: Any, replica: Replica[Any]) -> None:
    """In a child: attach, and say what is read; after the answer, what is read then."""
    replica.attach(timeout=30.0)
    pipe.send((replica.latest.number, replica is plain))
    pipe.recv()
    pipe.send((replica.latest.number, replica is plain))
    replica.close()
