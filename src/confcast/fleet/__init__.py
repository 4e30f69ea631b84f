"""One change on many hosts, through an engine that people already run: Redis or Valkey, etcd, PostgreSQL, NATS.

    from confcast import ConfigLoader
    from confcast.fleet import Redis

    loader = ConfigLoader("shop.settings:Settings", Redis("rediss://config.example/0", "shop"))

Glossary:

engine      A server that keeps the head, payloads, entries and reports of a key.
key         Names one configuration in an engine.
head        A document under 1 KB: which payload is stable, which comes next, and for which hosts. Hosts watch it alone.
payload     The bytes of a configuration, under their digest. They never change.
entry       One record of the audit trail: a head, who published it, when, why, and what it replaced.
report      What a host says of the payload that it was to load: applied, good, refused, …
host        One config owner that follows a key, whatever machine it is on.
rollout     What makes a payload stable for all hosts: one stage after another, each passed by hosts that are good.
stage       A step of a rollout: how many hosts are to load `next`.
ring        A label whose hosts are a stage of their own, before all others.
controller  Whoever carries a rollout on: `confcast fleet publish`, until it ends.
gateway     A process between an engine and many hosts: it follows the engine once for all of them.
"""

from typing import TYPE_CHECKING

_HOME = {
    "Etcd": "sources",
    "Gateway": "sources",
    "Nats": "sources",
    "Postgres": "sources",
    "Redis": "sources",
}

if TYPE_CHECKING:
    from confcast.fleet.sources import Etcd as Etcd
    from confcast.fleet.sources import Gateway as Gateway
    from confcast.fleet.sources import Nats as Nats
    from confcast.fleet.sources import Postgres as Postgres
    from confcast.fleet.sources import Redis as Redis

__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    """Import a public name at its first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    found = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*globals(), *__all__]
