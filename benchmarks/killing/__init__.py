"""A configuration that kills each worker at its first request, under 200 requests a second: what is lost, for how long.

Four gunicorn workers, and three ways to bring the same file to them: a HUP of gunicorn as it is today, a reload with
confcast on probation, and one with a trial in one worker. Today nobody takes the file back but a person: here one has
noticed, put the former file back and sent another HUP `NOTICED` seconds after the first, which is quick. Confcast is
left alone. The application takes half a CPU-second to import, which each worker that is started anew pays.

A request is lost if it got no answer within `IN_TIME` seconds of when it was due: clients have given up by then, though
one that waits in the listening socket's queue is answered in the end.
"""

from __future__ import annotations

import sys
from statistics import median
from time import monotonic
from typing import Literal, NamedTuple

from benchmarks.rows import Row, against_peer
from benchmarks.servers.figures import pids
from benchmarks.servers.kinds import WORKERS, Kind, Side
from benchmarks.servers.open_load import OpenLoad, await_workers
from benchmarks.servers.running import Note, Server, started

A_SECOND = 200
NOTICED = 5.0
IN_TIME = 2.0
_IMPORT_SECONDS = 0.5
_BEFORE = 1.0
_AFTER = 20.0
_KILLS = 13

Way = Literal["today", "probation", "trial"]
WAYS: tuple[Way, ...] = ("today", "probation", "trial")


class Seen(NamedTuple):
    """What the clients of one way saw from the HUP on.

    Attributes:
        lost: How many requests were lost.
        asked: Of how many.
        back: Seconds from the HUP to the last lost request; 0.0 if none was lost.
    """

    lost: int
    asked: int
    back: float


def measure(rounds: int) -> list[Row]:
    """Each way in turn, so many times that a median means something; the medians, confcast's beside today's."""
    seen: dict[Way, list[Seen]] = {way: [] for way in WAYS}
    notes: list[Note] = []
    for _ in range(max(3, rounds // 2)):
        for way in WAYS:
            seen[way].append(_kill(way, notes))
    for note in notes:
        print(f"{note.server}, {note.side}: {note.text}", file=sys.stderr)
    return _rows(seen)


def _rows(seen: dict[Way, list[Seen]]) -> list[Row]:
    rows: list[Row] = []
    asked = {way: median(each.asked for each in seen[way]) for way in WAYS}
    lost = {way: median(each.lost for each in seen[way]) for way in WAYS}
    back = {way: median(each.back for each in seen[way]) for way in WAYS}
    for way in ("probation", "trial"):
        name = f"{way}: lost of {asked[way]:.0f} requests; peer: gunicorn's HUP, put back after 5 s"
        rows.append(against_peer(name, lost[way], lost["today"]))
        rows.append(against_peer(f"{way}: seconds until the last loss; peer: the same", back[way], back["today"]))
    return rows


def _kill(way: Way, notes: list[Note]) -> Seen:
    side: Side = "today" if way == "today" else "confcast"
    with started(_kind(way), side, notes, _IMPORT_SECONDS) as server:
        await_workers(server)
        load = OpenLoad(server.port, kept=0, new_a_second=A_SECOND)
        try:
            load.run(_BEFORE)
            at = _bring(server, load, way)
            load.run(_AFTER - (monotonic() - at))
            load.finish()
            return _seen(load, at)
        finally:
            load.close()


def _bring(server: Server, load: OpenLoad, way: Way) -> float:
    """Bring the file that kills. Returns when."""
    good = server.number
    server.put(_KILLS)
    at = monotonic()
    server.hup()
    if way == "today":
        load.run(NOTICED)
        server.put(good)
        server.hup()
    return at


def _seen(load: OpenLoad, at: float) -> Seen:
    asked = [each for each in load.asked if each.done >= at]
    lost = [each for each in asked if each.outcome != "answered" or each.done - each.due > IN_TIME]
    assert len(pids(load.asked)) >= WORKERS, "not every worker has answered"
    return Seen(len(lost), len(asked), max((each.done - at for each in lost), default=0.0))


def _kind(way: Way) -> Kind:
    def command(port: int) -> list[str]:
        bind = ["-b", f"127.0.0.1:{port}", "-w", str(WORKERS), "--no-control-socket", "--log-level", "critical"]
        conf = [] if way == "today" else ["-c", f"python:benchmarks.killing.{way}"]
        return ["gunicorn", *bind, *conf, "benchmarks.killing.app:wsgi"]

    return Kind(f"gunicorn ({way})", ("gunicorn",), command, command)
