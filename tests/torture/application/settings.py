"""The settings of the application that the rig serves, and what a worker records of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from confcast import NeedsRestart, Replica
from tests.torture.history import Agreed, Applied, Process, Record, Recorder, Veto, now


class Settings(msgspec.Struct, frozen=True):
    """tests/torture/content.py says what is in it; `tuned` is for `set`, `published` for a fleet's engine.

    `listens` needs a restart, and `marks` is guarded.
    """

    serial: int
    left: int
    right: int
    veto: Literal["", "all", "some"] = ""
    harm: Literal["", "kills", "sick", "fails"] = ""
    padding: list[str] = []
    tuned: int = 0
    published: int = 0
    listens: Annotated[int, NeedsRestart("sockets are bound at the start")] = 1
    marks: list[int] = []


settings = Replica(Settings, name="app")
_recorders: dict[int, Recorder] = {}


def record(what: Record) -> None:
    """Into the file of this very process; a forked child does not write into its parent's."""
    recorder = _recorders.get(os.getpid())
    if recorder is None:
        recorder = _recorders[os.getpid()] = Recorder(Path(os.environ["HISTORY"]), "worker")
    recorder.write(what)


def record_ready() -> None:
    """This worker has its first version, and begins to serve."""
    pid, snapshot = os.getpid(), settings.snapshot
    record(Process(at=now(), by=pid, pid=pid, role="worker", what="ready"))
    record(Applied(at=now(), by=pid, version=snapshot.version, serial=snapshot.config.serial))


@settings.precommit
def vote(old: Settings | None, new: Settings) -> None:
    """Refuses what the content says."""
    pid = os.getpid()
    if new.veto == "all" or (new.veto == "some" and pid % 2):
        record(Veto(at=now(), by=pid, serial=new.serial))
        raise ValueError(f"content {new.serial} wants a veto")
    record(Agreed(at=now(), by=pid, serial=new.serial))


@settings.healthcheck
def is_well() -> bool:
    return settings.current.harm != "sick"


@settings.identify
def entity(headers: Mapping[str, str]) -> str | None:
    return headers.get("x-entity")


def observe(old: Settings | None, new: Settings) -> None:
    """The observer is not given a number; a newer version may have come meanwhile."""
    snapshot = settings.snapshot
    version = snapshot.version if snapshot.config is new else 0
    record(Applied(at=now(), by=os.getpid(), version=version, serial=new.serial))


settings.subscribe(observe)
