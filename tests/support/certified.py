"""A schema with marks, and a worker that reads it: imported by owner, master and workers alike."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, model_validator

from confcast import NeedsRestart, Replica, Watched
from tests.support.waiting import eventually
from tests.support.workers import Worker, obey

SCHEMA = "tests.support.certified:Certified"


class Tls(BaseModel):
    model_config = ConfigDict(frozen=True)

    certificate: Annotated[Path, Watched]
    key: Annotated[Path | None, Watched] = None


class Certified(BaseModel):
    model_config = ConfigDict(frozen=True)

    tls: Tls
    number: int = 0
    workers: Annotated[int, NeedsRestart("the server forks them at its start")] = 4

    @model_validator(mode="after")
    def _enough(self) -> Certified:
        if self.number > self.workers * 10:
            raise ValueError(f"{self.number} is too much for {self.workers} workers")
        return self


class Reading:
    """The commands of a worker: what it has, and what its observer of the certificate was called with."""

    def __init__(self, address: str) -> None:
        self._replica = Replica(Certified, name="app")
        self._seen: list[str] = []
        self._replica.attach(address)
        self._replica.subscribe(self._changed, select=lambda config: config.tls.certificate)

    def _changed(self, old: Path, new: Path) -> None:
        self._seen.append(new.read_text(encoding="utf-8"))

    def seen(self, count: int) -> list[str]:
        """What the certificate had in it when the observer was called, once it was called so often."""
        eventually(lambda: len(self._seen) >= count, f"{count} calls")
        return self._seen

    def read(self) -> tuple[int, int, int]:
        config = self._replica.latest
        return self._replica.version, config.number, config.workers

    def await_version(self, version: int) -> tuple[int, int, int]:
        eventually(lambda: self._replica.version >= version, f"version {version}")
        return self.read()

    def close(self) -> None:
        self._replica.close()


def serve(pipe: Connection, address: str) -> None:
    """The worker's main program."""
    obey(pipe, lambda: Reading(address))


def start(context: Any, address: str) -> Worker:
    """A worker that has attached."""
    return Worker(context or multiprocessing.get_context("spawn"), target=serve, arguments=(address,))
