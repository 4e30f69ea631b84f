"""A crowd of hosts in several programs, and what a test or a benchmark asks of all of them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from tests.support.fleet.host import Event
from tests.support.programs import Program
from tests.support.waiting import DEADLINE

DAY = 86_400.0


def spec(kind: str, *arguments: Any, **options: Any) -> str:
    """A source, as programs are told it."""
    return json.dumps([kind, arguments, options])


class Crowd:
    """Hosts without workers, from `with` to its end.

    Args:
        source: What they follow (`spec`).
        probation: Seconds from `applied` to `good`.
        clocks: By how many seconds the date is wrong, for each program of hosts.

    Attributes:
        names: Of all hosts that were ever added.
        programs: Their programs.
    """

    def __init__(self, source: str, *, probation: float = 0.05, clocks: tuple[float, ...] = (0.0, DAY, -DAY)) -> None:
        self.names: list[str] = []
        self.programs: list[Program] = []
        self._of: dict[str, Program] = {}
        self._events: list[Event] = []
        self._arguments = [(source, str(probation), str(clock)) for clock in clocks]

    def add(self, names: Iterable[str], *, folder: Path | None = None, **labels: str) -> None:
        """Hosts with these names, shared out among the programs. With `folder` each has a state folder there."""
        names = list(names)
        self.names += names
        for index, program in enumerate(self.programs):
            mine = names[index :: len(self.programs)]
            self._of |= dict.fromkeys(mine, program)
            program.ask("add", mine, labels, str(folder) if folder is not None else None)

    def end(self, names: Iterable[str]) -> None:
        """These hosts are gone."""
        self._each("end", names)

    def begin(self, names: Iterable[str]) -> None:
        """These hosts are there again."""
        self._each("begin", names)

    def running(self) -> dict[str, str]:
        """The digest that each host which is there runs."""
        return {name: digest for answer in self._all("running") for name, digest in answer.items()}

    def await_running(self, digest: str, names: Iterable[str] | None = None, seconds: float = DEADLINE) -> None:
        """Wait until these hosts (None: all that are there) run it."""
        wanted = list(names) if names is not None else None
        missing = [
            name for answer in self._all("await_running", digest, wanted, seconds, within=seconds) for name in answer
        ]
        assert not missing, (
            f"not within {seconds:g} s: {len(missing)} hosts that run {digest[:8]}, such as {missing[0]}"
        )

    def events(self) -> list[Event]:
        """All that has ever come of payloads, in the order of time."""
        self._events += [Event(*each) for answer in self._all("events") for each in answer]
        self._events.sort()
        return self._events

    def connects(self) -> dict[str, int]:
        """How often each host has connected, or tried to."""
        return {name: count for answer in self._all("connects") for name, count in answer.items()}

    def failures(self) -> dict[str, int]:
        """What failed in hosts as nothing of the product may."""
        return {error: count for answer in self._all("failures") for error, count in answer.items()}

    def cut_off(self, programs: Iterable[Program]) -> list[str]:
        """From now on the hosts of these programs neither hear nor say anything, and their connections stay open."""
        cut = list(programs)
        for program in cut:
            os.kill(program.pid, signal.SIGSTOP)
        return [name for name, program in self._of.items() if program in cut]

    def let_in(self, programs: Iterable[Program]) -> None:
        """After `cut_off`."""
        for program in programs:
            os.kill(program.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        try:
            for arguments in self._arguments:
                self.programs.append(Program("-m", "tests.support.fleet.hosts", *arguments))
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *about: object) -> None:
        if kind is not None:
            self._kill()
        for program in self.programs:
            assert program.end() == 0, "a program of hosts did not end in order"

    def _kill(self) -> None:
        programs, self.programs = self.programs, []
        for program in programs:
            program.kill()

    def _each(self, command: str, names: Iterable[str]) -> None:
        wanted = set(names)
        for program in self.programs:
            mine = [name for name in wanted if self._of[name] is program]
            if mine:
                program.ask(command, mine)

    def _all(self, command: str, *arguments: Any, within: float = 0.0) -> list[Any]:
        """The answers of all programs, which are asked at once."""
        for program in self.programs:
            program.tell(command, *arguments)
        return [program.answer(within + 3 * DEADLINE) for program in self.programs]
