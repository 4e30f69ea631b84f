"""What a run is started with, beside its seed, seconds and server."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

NO = "no"
"""The file in the site's folder while which is there the site's probe says no."""
PROBE = ("sh", "-c", f"! test -e {NO}")
"""What the owner runs to ask, while a version is provisional."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The manager's options that a run sets, short enough for something to happen, and the rig's own.

    Attributes:
        workers: How many.
        canary: Whether every change is tried first, and by whom; None leaves that to the calls.
        trial, probation, vote_timeout, precommit_timeout, load_timeout: Seconds.
        max_deaths, max_error_rate: As the manager has them.
        clients: How many connections ask.
        rate: How many requests a second they make together, at the most.
        entities: How many names requests have; half of them have none.
        admin: Whether `confcast admin` runs beside the server.
        fleet: The engine that a second source follows, `redis` or `etcd`, through a gateway; empty for none.
        phases: The phases of the plan, by name, with commas between them; empty for all.
        imports: Seconds that the application takes to be imported; a worker of some servers has attached before.
    """

    workers: int = 4
    canary: Literal["worker", "entity"] | None = None
    trial: float = 2.0
    probation: float = 2.0
    vote_timeout: float = 1.5
    precommit_timeout: float = 3.0
    load_timeout: float = 4.0
    max_deaths: int = 2
    max_error_rate: float = 0.5
    clients: int = 8
    rate: float = 200.0
    entities: int = 12
    admin: bool = True
    fleet: str = ""
    phases: str = ""
    imports: float = 0.3

    def manager(self) -> dict[str, float | int | str]:
        """Those of the manager but for the canary, by name."""
        names = ("probation", "vote_timeout", "precommit_timeout", "load_timeout", "max_deaths", "max_error_rate")
        return {**{name: getattr(self, name) for name in names}, "state_dir": "state", "history_limit": 10_000}

    def trials(self) -> dict[str, Any]:
        """The canary's arguments; nothing where there is none."""
        if self.canary is None:
            return {}
        size = 1 if self.canary == "worker" else "50%"
        return {"size": size, "seconds": self.trial, "by": self.canary, "min_requests": 5}

    @property
    def answers_within(self) -> float:
        """Seconds within which a load that begins at once is answered: confcast's own rule, said independently."""
        return self.load_timeout + 2 * max(self.vote_timeout, self.precommit_timeout) + 1.0
