"""The engines by the scheme of their URL; an engine's module, and its client library, are imported at first use."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import NamedTuple

from confcast.fleet.engines import url_paths
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import Fault, Store


class Engine(NamedTuple):
    """A kind of engine.

    Attributes:
        module: The module in this package.
        schemes: Those of its URLs.
        check: Raises Fault for what its URLs can't have after the addresses; connects to nothing.
        extra: What `pip install confcast[…]` installs for it; empty if nothing is needed.
    """

    module: str
    schemes: tuple[str, ...]
    check: Callable[[Access], object]
    extra: str = ""


ENGINES = {
    "Redis": Engine("redis", ("redis", "rediss", "valkey", "valkeys"), url_paths.redis_database),
    "Etcd": Engine("etcd", ("etcd", "etcds"), url_paths.etcd_nothing),
    "Postgres": Engine("postgres", ("postgres", "postgresql"), url_paths.postgres_target, "postgres"),
    "Nats": Engine("nats", ("nats", "tls"), url_paths.nats_bucket, "nats"),
}
"""Each engine by the name of its source. A fifth one is a line here, and a module."""


def find(access: Access) -> Engine:
    """The engine that the URL's scheme names. Raises Fault if it names none."""
    for engine in ENGINES.values():
        if access.parts.scheme in engine.schemes:
            return engine
    known = ", ".join(f"{scheme}://" for engine in ENGINES.values() for scheme in engine.schemes)
    raise Fault(f"{access.shown}: no engine has this URL: one that begins with {known} is expected")


async def connect(access: Access, key: str) -> Store:
    """A connection to the engine that the URL's scheme names.

    Raises:
        EngineError: It can't be reached, or refuses; or the URL names no engine, or its library is not installed.
    """
    engine = find(access)
    try:
        module = importlib.import_module(f"{__name__}.{engine.module}")
        store: Store = await module.connect(access, key)
    except ModuleNotFoundError as error:
        if not engine.extra or (error.name or "").startswith("confcast"):
            raise
        raise Fault(f"{access.shown}: {error.name} is not installed: pip install 'confcast[{engine.extra}]'") from error
    return store
