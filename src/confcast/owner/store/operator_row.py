"""What people have set, in SQLite: one row, which names the version beside which it was written.

An earlier confcast knows no such table. It opens the journal and goes on, without holds and overrides; what it commits
has another number, so that the row is not that version's and counts no more. A row that is damaged counts as none, and
that is logged: the sources are followed again.
"""

from __future__ import annotations

import logging
import zlib

import msgspec

from confcast.log_fields import about
from confcast.owner.core.operator_state import OperatorState
from confcast.owner.store.sqlite_file import Ask
from confcast.wire.messages import UNDECODABLE

_log = logging.getLogger("confcast.journal")

# Made when first used: a journal of an earlier confcast has no such table, and is opened as it is.
_TABLE = """CREATE TABLE IF NOT EXISTS operator(one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL,
    checksum INTEGER NOT NULL, body BLOB NOT NULL)"""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(OperatorState).decode


# Each of these raises what SQLite raises.


def put(ask: Ask, version: int, state: OperatorState) -> None:
    """Replace the row by this state, beside this version."""
    ask(_TABLE)
    body = _encode(state)
    ask("INSERT OR REPLACE INTO operator VALUES (1, ?, ?, ?)", (version, zlib.crc32(body), body))


def read(ask: Ask, version: int) -> OperatorState:
    """What people have set beside this version; nothing where another version's row is there, or a damaged one."""
    if not ask("SELECT 1 FROM sqlite_master WHERE name = 'operator'").fetchone():
        return OperatorState()
    found = ask("SELECT version, checksum, body FROM operator").fetchone()
    if found is None or found[0] != version:
        return OperatorState()
    _, checksum, body = found
    if isinstance(body, bytes) and zlib.crc32(body) == checksum:
        try:
            return _decode(body)
        except UNDECODABLE:  # written by a confcast that gave a field another type
            pass
    _log.error(
        "what people have set beside version %d is damaged: a hold and overrides are lost",
        version,
        extra=about("operator_state_lost", version=version),
    )
    return OperatorState()
