"""The snapshot file: the last committed version, for workers that start while no owner answers.

Written by the owner at each commit, after the journal and before the outcome is answered; read by workers. A reader
sees one version whole or another, never half of one. It is 0600 and holds a msgpack struct. Rejected: letting workers
read the journal (SQLite in every worker, and a lock).
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from confcast.wire.files import whole_files
from confcast.wire.messages import MAX_FRAME, PROTOCOL

FILE = "snapshot"
"""Its name in the run-time folder, beside the control socket."""


class Saved(msgspec.Struct, frozen=True, array_like=True):
    """A committed version, and what it takes to know whether it is of use here."""

    protocol: int
    schema: bytes
    version: int
    digest: bytes
    payload: bytes

    def __repr__(self) -> str:
        return f"Saved(version={self.version})"


def save(folder: Path, schema: bytes, version: int, digest: bytes, payload: bytes, *, uid: int = -1) -> None:
    """Put this version into the folder, atomically, and give the file to this uid (-1: to nobody). Raises OSError."""
    body = msgspec.msgpack.encode(Saved(PROTOCOL, schema, version, digest, payload))
    whole_files.put(folder, FILE, body, uid=uid)


def remove(folder: Path) -> None:
    """Take the file away: what it holds is not what was committed last. Raises OSError; then it is empty, if it can be.

    On a full disk a file can be removed; where the folder can't be written, the file itself often can.
    """
    place = folder / FILE
    try:
        place.unlink(missing_ok=True)
    except OSError:
        os.truncate(place, 0)
        raise


def load(folder: Path) -> Saved | None:
    """What the folder holds; None when there is nothing that can be read. The caller checks schema and digest."""
    try:
        with (folder / FILE).open("rb") as file:
            saved = msgspec.msgpack.decode(file.read(MAX_FRAME), type=Saved)
    except (OSError, msgspec.DecodeError):
        return None
    return saved if saved.protocol == PROTOCOL else None
