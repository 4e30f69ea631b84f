"""Hosts without workers as a program of their own: `python -m tests.support.fleet.hosts SOURCE PROBATION CLOCK`.

It does what the lines of its standard input say; each is answered by one line of JSON. It ends with its standard input.
SOURCE is JSON: the source's class, its arguments, its options. CLOCK is by how many seconds the hosts' date is wrong.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import confcast.fleet
from tests.support.fleet.host import Event, ProtocolHost

_LONGEST_LINE = 16 * 1024 * 1024


def source_of(spec: str) -> Any:
    """The source that this JSON names."""
    kind, arguments, options = json.loads(spec)
    return getattr(confcast.fleet, kind)(*arguments, **options)


class Hosts:
    """The commands; each is a method."""

    def __init__(self, source: Any, probation: float) -> None:
        self._source, self._probation = source, probation
        self._hosts: dict[str, ProtocolHost] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._events: list[Event] = []
        self._progress = asyncio.Event()

    def add(self, names: list[str], labels: dict[str, str], folder: str | None) -> int:
        """Hosts that are there from now on; each has a state folder in `folder`. Returns how many there are."""
        for name in names:
            own = Path(folder, name) if folder is not None else None
            if own is not None:
                own.mkdir(mode=0o700, exist_ok=True)
            self._hosts[name] = ProtocolHost(
                self._source, name, labels=labels, folder=own, probation=self._probation, note=self._note
            )
        self.begin(names)
        return len(self._hosts)

    def begin(self, names: list[str]) -> None:
        """Hosts that are there again."""
        for name in names:
            self._tasks[name] = asyncio.create_task(self._hosts[name].run())

    async def end(self, names: list[str]) -> None:
        """Hosts that are gone from now on."""
        for name in names:
            self._tasks[name].cancel()
        await asyncio.wait([self._tasks[name] for name in names])

    def running(self) -> dict[str, str]:
        """The digest that each host which is there runs."""
        return {name: host.running for name, host in self._hosts.items() if not self._tasks[name].done()}

    async def await_running(self, digest: str, names: list[str] | None, seconds: float) -> list[str]:
        """Wait until these hosts (None: all that are there) run it; those that don't in time."""
        wanted = set(names) if names is not None else None
        missing = [name for name in self.running() if wanted is None or name in wanted]
        try:
            async with asyncio.timeout(seconds):
                while missing := [name for name in missing if self._hosts[name].running != digest]:
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            return missing
        return []

    def events(self) -> list[Event]:
        """What has come of payloads since this was asked last."""
        events, self._events = self._events, []
        return events

    def connects(self) -> dict[str, int]:
        """How often each host has connected, or tried to."""
        return {name: host.connects for name, host in self._hosts.items()}

    def failures(self) -> dict[str, int]:
        """What failed in hosts as nothing of the product may."""
        ended = [task for task in self._tasks.values() if task.done() and not task.cancelled()]
        return Counter(repr(error) for task in ended if (error := task.exception()) is not None)

    async def close(self) -> None:
        if self._tasks:
            await self.end([*self._tasks])

    def _note(self, event: Event) -> None:
        self._events.append(event)
        self._progress.set()


async def serve(commands: Callable[[], Any]) -> None:
    """Do what comes over standard input, one thing after the other, until its end."""
    served = commands()
    lines = asyncio.StreamReader(_LONGEST_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print(json.dumps("ready"), flush=True)
    while line := await lines.readline():
        command, *arguments = json.loads(line)
        answer = getattr(served, command)(*arguments)
        if asyncio.iscoroutine(answer):
            answer = await answer
        print(json.dumps(answer), flush=True)
    await served.close()


def main(source: str, probation: str, clock: str) -> None:
    """Until the end of standard input."""
    logging.disable(logging.WARNING)  # a thousand hosts say of an outage what one does
    true, wrong_by = time.time, float(clock)
    time.time = lambda: true() + wrong_by
    gc.disable()  # it would look through all hosts again and again, as none of them alone does
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(serve(lambda: Hosts(source_of(source), float(probation))))


if __name__ == "__main__":
    main(*sys.argv[1:])
