"""Whether a process serves the committed version, for a readiness probe: what it lacks, in words without its secrets.

A process is not ready before its first version, while what is derived of it is not built, and while it lacks the
committed version: it has declined that one, its owner has refused it, or it votes for so long that the owner has gone
on without it. A refused file takes no readiness: nobody has that version. Nor does the owner's death: the process
serves on, and what it holds is what was committed last, as far as anybody can know.

A text names versions and no problem of the application's: a probe's address may be open to more people than a log is.

Rejected: asking the owner at each probe (a probe comes each second, of each worker, and an owner that hangs would take
all pods out of the load balancer). It is asked only while this process can't read what the owner has sent.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from confcast.errors import ConfcastError
from confcast.wire.messages import Stats, StatsRequest
from confcast.worker.derived.resources import Resources
from confcast.worker.snapshot import Snapshot

LONG = 1.0
"""Seconds in one message's handling from which on the owner is asked whether it has gone on."""

_ANSWERS_WITHIN = 1.0


class Following(Protocol):
    """What gives a replica its value, as far as it is asked here."""

    @property
    def address(self) -> str:
        """The owner's control socket; empty where there is none."""

    @property
    def connected(self) -> bool:
        """Whether there is a pipe to it."""

    @property
    def lacks(self) -> str:
        """Why it has not given what is committed; empty if it has."""

    @property
    def busy(self) -> float:
        """For how many seconds it has been at one message."""


class Readiness(msgspec.Struct, frozen=True):
    """Whether one replica of this process is ready. True in a boolean test if it is.

    Attributes:
        ready: Whether it is.
        version: The version that it serves; 0 for none.
        reason: Why it is not; or, if it is, what is unusual: that no owner answers. Empty for neither.
    """

    ready: bool
    version: int
    reason: str = ""

    def __bool__(self) -> bool:
        return self.ready


def readiness(
    name: str, snapshot: Snapshot[Any] | None, provider: Following | None, resources: Resources, *, asks: bool
) -> Readiness:
    """The readiness of a replica of this name, which has this snapshot of this provider.

    `asks`: whether it may take a second, to ask the owner, while this process is at a long vote.
    """
    if snapshot is None:
        return Readiness(False, 0, "no version has come yet")
    version = snapshot.version
    if provider is None:
        return Readiness(False, version, "this process is not attached: it follows no version")
    if lacks := provider.lacks:
        return Readiness(False, version, lacks)
    if not resources.is_ready(snapshot):
        return Readiness(False, version, "what is derived of the version is not built")
    if asks and provider.busy > LONG and (committed := _committed(provider.address, name)) > version:
        return Readiness(False, version, f"version {committed} is committed, and this process is still at a vote")
    if provider.address and not provider.connected:
        return Readiness(True, version, "no config owner answers: what was committed last is served")
    return Readiness(True, version)


def _committed(address: str, name: str) -> int:
    """The version that the owner says runs; 0 if it does not answer."""
    from confcast.worker.client.connection_per_call import AddressClient  # a process seldom needs it

    try:
        answer = AddressClient(address, name).ask(lambda number: StatsRequest(number), _ANSWERS_WITHIN)
    except ConfcastError:
        return 0
    return int(answer.stats["version"]) if isinstance(answer, Stats) else 0
