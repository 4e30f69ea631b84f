"""A whole fleet for a test: an engine, config owners with workers, a crowd of hosts, and what is true of them all."""

from __future__ import annotations

from contextlib import ExitStack
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any, Self

from confcast import fleet
from confcast.fleet.head import Head, digest_of, is_meant
from tests.support.engines.server import Server
from tests.support.fleet.acts import payload
from tests.support.fleet.crowd import DAY, Crowd, spec
from tests.support.fleet.gateways import Gateway
from tests.support.fleet.owners import Owners
from tests.support.fleet.publisher import Publisher
from tests.support.fleet.rollouts import Rollout
from tests.support.waiting import DEADLINE, eventually

KEY = "shop"


class Fleet:
    """One, from `with` to its end; everyone runs the payload with the number 1 when it begins.

    Args:
        server: The engine's.
        context: How workers are started.
        folder: For all files.
        owners: How many hosts are config owners.
        hosts: How many are not.
        gateway: Whether they are behind one.
        clocks: By how many seconds the date is wrong on the latter, for each program of them.
        limits: Of each rollout: the options of the command.
    """

    def __init__(
        self,
        server: Server,
        context: BaseContext,
        folder: Path,
        *,
        owners: int,
        hosts: int,
        gateway: bool = False,
        clocks: tuple[float, ...] = (0.0, DAY, -DAY),
        **limits: str,
    ) -> None:
        self.server = server
        self._context, self._folder, self._gateway, self._limits = context, folder, gateway, limits
        self._counts, self._clocks = (owners, hosts), clocks
        self._payloads: dict[str, int] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with self._stack as stack:
            self.publisher = stack.enter_context(Publisher(self.server.access(), KEY))
            self.force(1)
            where: tuple[str, Any] = (self.server.NAME, self.server.url)
            if self._gateway:
                where = ("Gateway", [stack.enter_context(Gateway(self.server.url, KEY)).url])
            owners, hosts = self._counts
            self.crowd = stack.enter_context(Crowd(spec(*where, KEY), clocks=self._clocks))
            states = self._folder / "hosts"
            states.mkdir()
            self.crowd.add((f"host-{number}" for number in range(hosts)), folder=states)
            names = [f"owner-{number}" for number in range(owners)]
            self.crowd.await_running(self.digest(1), seconds=_LONG)
            source = getattr(fleet, where[0])(where[1], KEY, connect_timeout=DEADLINE)
            self.owners = stack.enter_context(Owners(self._context, source, names, self._folder / "owners"))
            self.await_all(1)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *about: object) -> None:
        self._stack.close()

    def lose_engine(self) -> None:
        """Kill the engine; returns when the hosts of the crowd have lost it, if they are not behind a gateway."""
        before = self.crowd.connects()
        self.server.kill()
        if not self._gateway:
            eventually(
                lambda: all(now > before[host] for host, now in self.crowd.connects().items()), "hosts that try again"
            )

    # ---- publishing

    def force(self, number: int, **shares: float) -> str:
        """Publish a payload to all hosts at once; its digest."""
        return self.publisher.force(self._payload(number, shares)).head.stable

    def rollout(self, number: int, shares: dict[str, float] | None = None, **limits: str) -> Rollout:
        """Begin to publish a payload in stages."""
        file = self._folder / f"{number}.toml"
        file.write_bytes(self._payload(number, shares or {}))
        return Rollout(self.server.url, KEY, file, **{**self._limits, **limits})

    def digest(self, number: int) -> str:
        """Of the payload with this number."""
        return next(digest for digest, known in self._payloads.items() if known == number)

    def _payload(self, number: int, shares: dict[str, float]) -> bytes:
        content = payload(number, **shares)
        self._payloads[digest_of(content)] = number
        return content

    # ---- what is true

    def await_all(self, number: int) -> None:
        """Wait until everyone runs it: each host of the crowd, and each worker of the others."""
        self.crowd.await_running(self.digest(number), seconds=_LONG)
        self.owners.await_number(number)

    def ran(self) -> set[tuple[str, str, int]]:
        """Who has ever run what: the id and the label of a host, and a number."""
        crowd = {(each.host, "", self._payloads[each.digest]) for each in self.crowd.events() if each.state in _RUNS}
        ids = {report.labels.get("test"): host for host, report in self.publisher.reports().items()}
        return crowd | {(ids[name], name, number) for name, ran in self.owners.ran().items() for _, number in ran}

    def outside(self) -> set[tuple[str, int]]:
        """The hosts that have run what no head has ever meant for them."""
        heads = self.publisher.heads()
        return {(host, number) for host, label, number in self.ran() if not self._is_meant(heads, host, label, number)}

    def _is_meant(self, heads: list[Head], host: str, label: str, number: int) -> bool:
        digest, labels = self.digest(number), {"test": label} if label else {}
        return any(head.stable == digest or (head.next == digest and is_meant(head, host, labels)) for head in heads)


_RUNS = ("applied", "good")
_LONG = 3 * DEADLINE
