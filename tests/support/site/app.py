"""The application that servers serve in the tests: a path is the name of a function, its answer is JSON.

It can be held at gates (tests/support/gate.py): at import, at "booting" in the server's folder; in a vote, at the path
that the voted `name` is; in a request, wherever that says.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from settings import settings

told: list[int] = []


def listen(old: Any, new: Any) -> None:
    """Remembers what it is called with; it refuses one number, to which no test counts."""
    if new.number == 1313:
        raise ValueError("not this one")
    told.append(new.number)


@settings.precommit
def vote(old: Any, new: Any) -> None:
    if new.name.startswith("/"):
        Path(new.name).read_bytes()


settings.subscribe(listen)

if Path("booting").exists():
    Path("booting").read_bytes()

AT_IMPORT = settings.latest.number if os.environ.get("READ_AT_IMPORT", "yes") == "yes" else None


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    function = {"read": read, "hold": hold, "reload": reload, "history": history, "stats": stats, "workers": workers}
    body = function[environ["PATH_INFO"].strip("/")](environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Type", "application/json")])
    return body


def answer(value: Any) -> list[bytes]:
    return [json.dumps(value).encode()]


def read(_: str) -> Iterable[bytes]:
    fields = {field: getattr(settings.current, field) for field in settings.current.__struct_fields__}
    state = {"version": settings.version, "connected": settings.connected, "at_import": AT_IMPORT, "told": told}
    return answer({"pid": os.getpid(), **state, **fields})


def hold(folder: str) -> Iterable[bytes]:
    """Reads; waits at a gate, reads; and in the body's generator waits at another gate, and reads."""
    first = settings.current.number
    wait_at(folder, "call")
    second = settings.current.number

    def body() -> Iterable[bytes]:
        yield b"[%d, %d, " % (first, second)
        wait_at(folder, "body")
        yield b"%d]" % settings.current.number

    return body()


def wait_at(folder: str, place: str) -> None:
    """At that gate; where threads are green, in a real one, so that the others go on."""
    gate = Path(folder, place, "gate")
    gevent = sys.modules.get("gevent")
    if gevent is None:
        gate.read_bytes()
    else:
        gevent.get_hub().threadpool.apply(gate.read_bytes)


def reload(_: str) -> Iterable[bytes]:
    event = settings.reload()
    return answer(
        {
            "result": str(event.result),
            "version": event.version,
            "applied": event.applied,
            "latest": settings.latest.number,
        }
    )


def history(_: str) -> Iterable[bytes]:
    return answer([[event.origin, str(event.result), event.version] for event in settings.get_event_history()])


def stats(_: str) -> Iterable[bytes]:
    return answer(settings.get_stats())


def workers(_: str) -> Iterable[bytes]:
    return answer([worker.pid for worker in settings.workers() if worker.version])
