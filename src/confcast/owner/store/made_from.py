"""What the kept versions were made from: what the sources gave, merged, and the overrides above it; by version.

Going back to a version brings its overrides back, and what is set on a held version builds on what its sources gave.
Both are opaque here. They are compressed when they are taken into SQLite, while the owner is idle.

Guarantees. It has a checksum that is verified when it is read. Where it is damaged, or was written by an earlier
confcast, which knows no such table, it is not known; the version's content does not depend on it.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from confcast.owner.store.sqlite_file import Ask
from confcast.wire.messages import UNDECODABLE

# Made when first used: a journal of an earlier confcast has no such table, and is opened as it is.
_TABLE = "CREATE TABLE IF NOT EXISTS made_from(version INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, body BLOB)"
_FAST = 1
"""The level of compression: a third of the size for a tenth of the time of the default."""


class MadeFrom(NamedTuple):
    """What a version was made from.

    Attributes:
        values: What the sources gave, merged, as the loading thread encodes it; empty: not known.
        layer: The overrides, as in OperatorState.
    """

    values: bytes = b""
    layer: bytes = b""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[bytes, bytes]).decode


# Each of these raises what SQLite raises.


def put(ask: Ask, made: Mapping[int, MadeFrom]) -> None:
    """Keep what these versions were made from. Those that go back and forth between few contents are made from few."""
    bodies = {each: zlib.compress(_encode(each), _FAST) for each in set(made.values()) - {MadeFrom()}}
    if bodies:
        ask(_TABLE)
    for version, each in made.items():
        if (body := bodies.get(each)) is not None:
            ask("INSERT OR REPLACE INTO made_from VALUES (?, ?, ?)", (version, zlib.crc32(body), body))


def read(ask: Ask, version: int) -> MadeFrom:
    """What this version was made from; with empty fields where that is not known."""
    if not _is_there(ask):
        return MadeFrom()
    found = ask("SELECT checksum, body FROM made_from WHERE version = ?", (version,)).fetchone()
    if found is None or not isinstance(found[1], bytes) or zlib.crc32(found[1]) != found[0]:
        return MadeFrom()
    try:
        return MadeFrom(*_decode(zlib.decompress(found[1])))
    except (zlib.error, *UNDECODABLE):
        return MadeFrom()


def prune(ask: Ask) -> None:
    """Delete what versions were made from that are not kept any more."""
    if _is_there(ask):
        ask("DELETE FROM made_from WHERE version NOT IN (SELECT version FROM kept)")


def _is_there(ask: Ask) -> bool:
    return bool(ask("SELECT 1 FROM sqlite_master WHERE name = 'made_from'").fetchone())
