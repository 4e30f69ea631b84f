"""The snapshot file: the last committed version, for workers that start while no owner answers.

Written by the owner at each commit, after the journal and before the outcome is answered; read by workers. A reader
sees one version whole or another, never half of one: it is written under a name of its own and renamed. It is 0600
and holds a msgpack struct. Rejected: letting workers read the journal (SQLite in every worker, and a lock).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from confcast.wire.messages import MAX_FRAME, PROTOCOL

FILE = "snapshot"
"""Its name in the run-time folder, beside the control socket."""

_FRESH = f".{FILE}"  # of one name: what a killed owner left of it, the next one overwrites


class Saved(msgspec.Struct, frozen=True, array_like=True):
    """A committed version, and what it takes to know whether it is of use here."""

    protocol: int
    schema: bytes
    version: int
    digest: bytes
    payload: bytes

    def __repr__(self) -> str:
        return f"Saved(version={self.version})"


def save(folder: Path, schema: bytes, version: int, digest: bytes, payload: bytes) -> None:
    """Put this version into the folder, atomically. Raises OSError."""
    fresh, place = f"{folder}/{_FRESH}", f"{folder}/{FILE}"  # text: a Path for each commit would cost a third of it
    body = msgspec.msgpack.encode(Saved(PROTOCOL, schema, version, digest, payload))
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        _write(fd, body)
        os.rename(fresh, place)  # noqa: PTH104
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(fresh)  # noqa: PTH108 - half a file would keep a full disk full
        raise


def _write(fd: int, body: bytes) -> None:
    """All of it, and close the file. Raises OSError."""
    try:
        rest = memoryview(body)
        while rest:
            rest = rest[os.write(fd, rest) :]
    finally:
        os.close(fd)


def load(folder: Path) -> Saved | None:
    """What the folder holds; None when there is nothing that can be read. The caller checks schema and digest."""
    try:
        with (folder / FILE).open("rb") as file:
            saved = msgspec.msgpack.decode(file.read(MAX_FRAME), type=Saved)
    except (OSError, msgspec.DecodeError):
        return None
    return saved if saved.protocol == PROTOCOL else None
