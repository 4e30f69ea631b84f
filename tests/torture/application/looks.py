"""What a request does, whatever serves it: it looks at the configuration several times, with waits in between."""

from __future__ import annotations

import json
import os
import signal
from typing import NamedTuple
from urllib.parse import parse_qs

from settings import record, settings

from tests.torture.history import Died, now


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
    """One look: by the snapshot and by `current`, which are to be one. The content may kill its reader."""
    snapshot, current = settings.snapshot, settings.current
    if snapshot.config.harm == "kills":
        record(Died(at=now(), by=os.getpid(), version=snapshot.version, serial=snapshot.config.serial))
        os.kill(os.getpid(), signal.SIGKILL)
    return [snapshot.version, snapshot.config.serial, current.left, current.right, current.tuned, current.published]


def fails() -> bool:
    """Whether the content says that requests fail."""
    return settings.current.harm == "fails"


def head(first: list[int]) -> str:
    """The beginning of an answer, with its first look; the others follow, each after a comma, and then `TAIL`."""
    return f'{{"pid": {os.getpid()}, "seen": [{json.dumps(first)}'


TAIL = "]}"
JSON = "application/json"
