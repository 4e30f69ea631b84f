"""What tenants have used: counters that know no version, held against the limits of the version that a request has.

Guarantees: a request that is under way counts until its answer has ended, whatever was committed meanwhile; a limit
that was lowered counts what was used before. For one event loop, so nothing is locked.

A token bucket, kept as what is owed: a request owes 1, and what is owed falls by `per_second`. So the bucket of a
tenant at rest is empty, and a new `burst` needs no conversion.

Rejected: counters that are derived of the configuration (a change of anything would give each tenant a new burst).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from confcast.examples.tenant_proxy.schema import Limits


class TooMany(Exception):
    """A tenant has used what it may.

    Attributes:
        retry_after: Seconds until it is worth another try.
    """

    def __init__(self, why: str, retry_after: int) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class Used:
    """What one tenant has used in this process.

    Attributes:
        running: Its requests that are under way.
        owed: Requests that came faster than `per_second`, as of `since`.
    """

    __slots__ = ("owed", "running", "since")

    def __init__(self, now: float) -> None:
        self.running, self.owed, self.since = 0, 0.0, now

    def take(self, limits: Limits, now: float) -> None:
        """Count a request. Raises TooMany, and counts nothing."""
        self.owed = max(0.0, self.owed - (now - self.since) * limits.per_second)
        self.since = now
        if self.running >= limits.at_once:
            raise TooMany(f"{limits.at_once} requests are under way", 1)
        if (excess := self.owed + 1 - limits.burst) > 0:
            text = f"more than {limits.per_second:g} requests a second"
            raise TooMany(text, max(1, math.ceil(excess / limits.per_second)))
        self.owed += 1


class Counters:
    """Those of all tenants in this process.

    Args:
        clock: Gives the time in seconds, from wherever.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._used: dict[str, Used] = {}

    @contextmanager
    def request(self, tenant: str, limits: Limits, tenants: Collection[str]) -> Iterator[None]:
        """Count a request while it is under way. Raises TooMany.

        Args:
            tenant: Whose it is.
            limits: Those of the request's version.
            tenants: All that there are; of others nothing is kept.
        """
        used = self._of(tenant, tenants)
        used.take(limits, self._clock())
        used.running += 1
        try:
            yield
        finally:
            used.running -= 1

    def _of(self, tenant: str, tenants: Collection[str]) -> Used:
        used = self._used.get(tenant)
        if used is None:  # a new one: the time to forget those who have left
            self._used = {name: each for name, each in self._used.items() if each.running or name in tenants}
            used = self._used[tenant] = Used(self._clock())
        return used
