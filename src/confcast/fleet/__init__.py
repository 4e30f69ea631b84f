"""One change on many hosts, through an engine that people already run: Redis or Valkey, etcd, PostgreSQL, NATS.

    from confcast import ConfigLoader
    from confcast.fleet import Redis

    loader = ConfigLoader("shop.settings:Settings", Redis("rediss://config.example/0", "shop"))

Glossary:

engine      A server that keeps the head, payloads, entries and reports of a key.
key         Names one configuration in an engine.
head        A document under 1 KB: which payload is stable, which comes next, and for which hosts. Hosts watch it alone.
            (HTTP's head, a status and headers, is an AnswerHead.)
stable      Said of the payload that each host is to load for which `next` is not meant.
next        The payload that a rollout is about, or none.
payload     The bytes of a configuration, under their digest. They never change.
feed        A connection on which a head is followed, and reports are sent; to an engine, or to a gateway.
store       A feed on which a head can be published, too; to an engine.
link        What makes a store anew whenever it fails, for whoever publishes.
hint        A sign on a feed that the head may have changed. Its content counts for nothing: the head is read.
check       The read of the head without a hint, every 30 seconds, that sees whether hints would still come.
follower    What connects, subscribes, reads and reports, again and again: one for each key, in an owner or a gateway.
swap        To put a head in the place of exactly the one that was read, with its entry, in one atomic step.
entry       One record of the audit trail: a head, who published it, when, why, and what it replaced.
report      What a host says of the payload that it was to load: applied, good, refused, …
summary     The reports of all hosts of a gateway, which stands for them in the engine.
host        One config owner that follows a key, whatever machine it is on.
rollout     What makes a payload stable for all hosts: one stage after another, each passed by hosts that are good.
stage       A step of a rollout: how many hosts are to load `next`.
ring        A label whose hosts are a stage of their own, before all others.
position    Where a host stands under a rollout's salt, from 0 to 100; `next` is meant for those below a share.
bake        The time for which a stage has to stay as good as it is before it is passed.
controller  Whoever carries a rollout on: `confcast fleet publish`, until it ends.
publisher   Whoever swaps a head: a person's command, or a controller.
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
