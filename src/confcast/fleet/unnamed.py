"""Drops the payloads that nothing names any more: what an engine keeps of a key is bounded.

A payload is named by the head, or by an entry of the audit trail that is kept (`engine.MOST_ENTRIES`; 64 in NATS): so
whatever may be gone back to stays. Names are found in the bytes, so that those of a newer build count, too. Each
publisher drops MOST_DROPPED at the most, after its own change. A host that lags behind needs none of them: it loads
what a head in force names.

Guarantee. No head names a payload that was dropped. The dangerous case is another publisher that wants exactly this old
payload: it finds it there, here it is dropped, and then the other one's head names it. These four rules exclude that:

1. Whoever brings a payload into a head that the head before does not name puts it first, also if it is there:
   `Store.put_payload` notes when that was. What a controller writes, and the end of a rollout, bring in none.
2. Here the payloads are listed first, each with its last put, and only those that nobody has put for an hour
   (`engine.UNTOUCHED`, by the engine's clock; half of it in NATS). Then head and entries are read again. So a head that
   comes to name one of them later is that of a publisher that puts it after the listing, or has put it an hour before.
3. A payload is dropped only if its last put is the one that was listed (etcd: if the head is still the one that was
   read, and nobody has put it for an hour). The engine sees to that in one step, so that this process may stand still
   between any two of its own.
4. After its swap each publisher puts the payload again. This mends what rule 2 leaves: a publisher that stood still for
   an hour between put and swap.

An entry is dropped only by a swap, which changes the head: whoever has read an old entry in order to go back to it has
lost its own swap by then.

Rejected: to lock (a publisher that died would have to be waited for), and to count the heads that name a payload (one
that is lost, or counted twice, is never found out).
"""

from __future__ import annotations

import re

from confcast.fleet.engines.engine import MOST_ENTRIES, Store

_DIGESTS = re.compile(rb"[0-9a-f]{64}")


async def drop_unnamed(store: Store) -> list[str]:
    """Drop payloads that nothing names. Returns the digests of those for which that was asked.

    Raises:
        EngineError: The engine can't be reached, or gives no right to it.
    """
    head, named = await _named(store)
    old = await store.old_payloads(named)
    if old:
        head, named = await _named(store)
    unnamed = [each for each in old if each.digest not in named]
    if head is not None:
        await store.drop_payloads(head, unnamed)
    return [each.digest for each in unnamed] if head is not None else []


async def _named(store: Store) -> tuple[bytes | None, set[str]]:
    """The head, and the digests that it or an entry names.

    The entries are read between two heads: an entry that came meanwhile came with another head.
    """
    head = await store.head()
    found = {each.decode() for each in _DIGESTS.findall(b"\n".join([head or b"", *await store.entries(MOST_ENTRIES)]))}
    return head, found
