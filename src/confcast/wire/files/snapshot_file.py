"""The snapshot file: the last committed version, for workers that start while no owner answers.

The owner writes it at each commit, after the journal and before it answers with the outcome. A worker always reads one
whole version. The file has mode 0600, or 0640 where a group may attach, and holds a msgpack struct. Rejected: letting
workers read the journal (every worker would need SQLite, and a lock).
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from confcast.wire.decoders import decode
from confcast.wire.files import whole_files
from confcast.wire.messages import MAX_FRAME, PROTOCOL, UNDECODABLE, WithSecrets

FILE = "snapshot"
"""The file's name in the runtime directory, beside the control socket."""


class Saved(WithSecrets, frozen=True, array_like=True):
    """A committed version, with the protocol, schema and digest by which a worker accepts it."""

    SHOWN = ("version",)

    protocol: int
    schema: bytes
    version: int
    digest: bytes
    payload: bytes


def save(
    folder: Path, schema: bytes, version: int, digest: bytes, payload: bytes, *, uid: int = -1, gid: int = -1
) -> None:
    """Write this version into the folder atomically, for this uid (-1: this process's) and group. Raises OSError."""
    body = msgspec.msgpack.encode(Saved(PROTOCOL, schema, version, digest, payload))
    whole_files.put(folder, FILE, body, uid=uid, gid=gid)


def remove(folder: Path) -> None:
    """Remove the file, since it does not hold the last commit. If that raises OSError, the file is emptied if possible.

    On a full disk a file can be removed; if the folder can't be written, the file itself often can.
    """
    place = folder / FILE
    try:
        place.unlink(missing_ok=True)
    except OSError:
        os.truncate(place, 0)
        raise


def load(folder: Path) -> Saved | None:
    """Read the file in this folder; None if none can be read. The caller checks schema and digest."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe there would hold up its reader
        descriptor = os.open(folder / FILE, flags)
        try:  # of a folder's descriptor there is no file that would close it
            with open(descriptor, "rb", closefd=False) as file:
                saved = decode(file.read(MAX_FRAME), Saved)
        finally:
            os.close(descriptor)
    except (OSError, *UNDECODABLE):
        return None
    return saved if saved.protocol == PROTOCOL else None
