"""The hosts of one key: what each said last, which of them have a stream, and the summary of that for the engine.

Guarantees. The number of hosts is bounded: in the place of a new one, the one that was silent for the longest is
forgotten, unless all have a stream. A summary is bounded, too: of too many or too long reports first the reasons are
shortened, then the names left out, then the labels (which rings are made of), then the hosts that are away.

Ages are seconds of this process's monotonic clock: a host's own clock is never asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator

import msgspec

from confcast.fleet.engines.gateway_lines import Caller
from confcast.fleet.reports import SEEN_WITHIN, Report, Seen, Summary, encode

_FORGOTTEN_AFTER = 10 * SEEN_WITHIN
_REASONS = (100, 30, 0)  # characters that reasons are shortened to, one after the other, until a summary fits


class _Host:
    __slots__ = ("last", "report", "streams")

    def __init__(self, report: Report, now: float) -> None:
        self.report, self.last, self.streams = report, now, 0


class Hosts:
    """The hosts of one key.

    Args:
        most: How many are known at once.
        most_bytes: The most bytes of a summary.
        clock: Seconds.

    Attributes:
        news: Set while a summary would say something new.
        refused: How often a host was not let in, since there were too many.
    """

    def __init__(self, most: int, most_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._most_bytes, self._clock = most, most_bytes, clock
        self._hosts: dict[str, _Host] = {}
        self.news = asyncio.Event()
        self.refused = 0

    def __len__(self) -> int:
        return len(self._hosts)

    @property
    def connected(self) -> int:
        """How many have a stream."""
        return sum(host.streams > 0 for host in self._hosts.values())

    def opened(self, caller: Caller) -> bool:
        """A stream of this host begins. False if there are too many hosts."""
        host = self._host(caller)
        if host is None:
            return False
        host.streams += 1
        host.last = self._clock()
        named = msgspec.structs.replace(host.report, name=caller.name, labels=caller.labels)
        self._tell(host.streams == 1 or named != host.report)
        host.report = named
        return True

    def closed(self, caller: Caller) -> None:
        """A stream of this host has ended."""
        host = self._hosts[caller.host]
        host.streams -= 1
        host.last = self._clock()
        self._tell(host.streams == 0)

    def reported(self, caller: Caller, report: Report) -> bool:
        """Keep a report. False if there are too many hosts."""
        host = self._host(caller)
        if host is None:
            return False
        host.last = self._clock()
        self._tell(host.report != report)
        host.report = report
        return True

    def seen(self, caller: Caller) -> bool:
        """This host has asked for something, as one without a stream does. False if there are too many hosts."""
        host = self._host(caller)
        if host is None:
            return False
        host.last = self._clock()
        return True

    def restore(self, hosts: Iterable[Seen], age: float) -> None:
        """Know these hosts, which have no stream, unless they are known; `age`: seconds since they were noted."""
        for seen in hosts:
            if seen.report.host not in self._hosts and len(self._hosts) < self._most:
                self._hosts[seen.report.host] = _Host(seen.report, self._clock() - seen.age - age)

    def _tell(self, is_news: bool) -> None:
        if is_news:
            self.news.set()

    def _host(self, caller: Caller) -> _Host | None:
        host = self._hosts.get(caller.host)
        if host is None:
            if len(self._hosts) >= self._most and not self._forget_one():
                self.refused += 1
                return None
            report = Report(caller.host, name=caller.name, labels=caller.labels)
            host = self._hosts[caller.host] = _Host(report, self._clock())
            self.news.set()
        return host

    def _forget_one(self) -> bool:
        away = [(host.last, key) for key, host in self._hosts.items() if not host.streams]
        if not away:
            return False
        del self._hosts[min(away)[1]]
        return True

    def _forget_old(self) -> None:
        before = self._clock() - _FORGOTTEN_AFTER
        for key in [key for key, host in self._hosts.items() if not host.streams and host.last < before]:
            del self._hosts[key]

    def summary(self, gateway: str) -> bytes:
        """The record for the engine; from now on, `news` tells of what is newer."""
        self._forget_old()
        self.news.clear()
        now = self._clock()
        seen = [Seen(host.report, round(now - host.last, 1), host.streams > 0) for host in self._hosts.values()]
        for shorter in _ever_shorter(seen):
            record = encode(Summary(gateway, tuple(shorter)))
            if len(record) <= self._most_bytes:
                break
        return record


def _ever_shorter(seen: list[Seen]) -> Iterator[list[Seen]]:
    yield seen
    for most in _REASONS:
        seen = [_with(each, reason=each.report.reason[:most]) for each in seen]
        yield seen
    seen = [_with(each, name="") for each in seen]
    yield seen
    seen = [_with(each, labels={}) for each in seen]
    yield seen
    seen = sorted(seen, key=lambda each: (not each.connected, each.age))
    while seen:
        seen = seen[: len(seen) // 2]
        yield seen


def _with(seen: Seen, **changes: object) -> Seen:
    return Seen(msgspec.structs.replace(seen.report, **changes), seen.age, seen.connected)
