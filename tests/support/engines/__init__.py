"""The engines' servers, for tests: a fifth engine is a file in this folder and a line in `SERVERS`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.engines.etcd import Etcd
from tests.support.engines.nats import Nats
from tests.support.engines.postgres import Postgres
from tests.support.engines.redis import Redis
from tests.support.engines.server import Server

SERVERS: dict[str, type[Server]] = {
    "Postgres": Postgres,
    "Nats": Nats,
    "Redis": Redis,
    "Etcd": Etcd,
}
"""Each engine's server by the name of its source."""


def each_program() -> Iterator[object]:
    """Parameters for a fixture of every engine: the class of its server and a program.

    The default run takes each engine's first program, a slow one the others, too. Where there is none, the test is
    skipped.
    """
    for name, server in SERVERS.items():
        programs = server.programs()
        if not programs:
            reason = f"there is no server of {name}: neither Debian's nor a wheel's"
            yield pytest.param((server, None), id=name, marks=pytest.mark.skip(reason=reason))
        for program in programs:
            marks = () if program is programs[0] else (pytest.mark.slow,)
            yield pytest.param((server, program), id=name if not marks else f"{name}-{program.origin}", marks=marks)
