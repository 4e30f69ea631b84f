"""What a request does, whatever serves it: it looks at the configuration several times, with waits in between."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import NamedTuple
from urllib.parse import parse_qs

from settings import record, settings

from tests.torture.history import Died, now

time.sleep(float(os.environ.get("IMPORTS", "0")))  # its worker has attached by then, and may have voted
connection = settings.derive(lambda serial: serial, lambda c: c.serial, name="connection")


class Asked(NamedTuple):
    """What the client asks for.

    Attributes:
        waits: How often the request looks again.
        pause: Seconds before each of these looks.
        stream: Whether the looks are sent one by one.
    """

    waits: int = 0
    pause: float = 0.0
    stream: bool = False


def asked(query: str) -> Asked:
    """What a query string asks for."""
    found = {name: values[-1] for name, values in parse_qs(query).items()}
    return Asked(int(found.get("waits", 0)), float(found.get("pause", 0)), found.get("stream") == "1")


def look() -> list[int]:
    """One look: by the snapshot, by `current` and by what is derived: all one. The content may kill its reader."""
    snapshot, current, derived = settings.snapshot, settings.current, connection.current
    if snapshot.config.harm == "kills":
        record(Died(at=now(), by=os.getpid(), version=snapshot.version, serial=snapshot.config.serial))
        os.kill(os.getpid(), signal.SIGKILL)
    mine = [snapshot.version, snapshot.config.serial, current.left, current.right]
    return [*mine, current.tuned, current.published, derived, current.listens, len(current.marks)]


def fails() -> bool:
    """Whether the content says that requests fail."""
    return settings.current.harm == "fails"


def head(first: list[int]) -> str:
    """The beginning of an answer, with its first look; the others follow, each after a comma, and then `TAIL`."""
    return f'{{"pid": {os.getpid()}, "seen": [{json.dumps(first)}'


TAIL = "]}"
JSON = "application/json"
