"""Which keys of the kept versions are secrets by their source (`config/codec/masked_header.py`), by version.

In the files a payload stands without the header that has these keys, so that an earlier confcast, which knows none,
reads the journal as its own: a deploy that is taken back starts.

Guarantees. A row has a checksum that is verified when it is read. Where it is damaged, every value of its version is a
secret.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from confcast.config.codec.masked_header import with_masked
from confcast.owner.store.sqlite_file import Ask

# Made when first used: a journal of an earlier confcast has no such table, and is opened as it is.
_TABLE = "CREATE TABLE IF NOT EXISTS masked(version INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, header BLOB)"
_ALL = with_masked(b"", [()])
"""The header that makes a secret of the whole configuration."""


# Each of these raises what SQLite raises.


def put(ask: Ask, headers: Mapping[int, bytes]) -> None:
    """Keep the headers of these versions; an empty one needs no row."""
    rows = [(version, zlib.crc32(header), header) for version, header in headers.items() if header]
    if rows:
        ask(_TABLE)
    for row in rows:
        ask("INSERT OR REPLACE INTO masked VALUES (?, ?, ?)", row)


def read(ask: Ask, version: int) -> bytes:
    """The header of this version; empty for none."""
    if not _is_there(ask):
        return b""
    found = ask("SELECT checksum, header FROM masked WHERE version = ?", (version,)).fetchone()
    if found is None:
        return b""
    checksum, header = found
    return header if isinstance(header, bytes) and zlib.crc32(header) == checksum else _ALL


def prune(ask: Ask) -> None:
    """Delete the headers of versions that are not kept any more."""
    if _is_there(ask):
        ask("DELETE FROM masked WHERE version NOT IN (SELECT version FROM kept)")


def _is_there(ask: Ask) -> bool:
    return bool(ask("SELECT 1 FROM sqlite_master WHERE name = 'masked'").fetchone())
