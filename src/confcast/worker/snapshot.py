"""One configuration under one version.

A snapshot never changes; a new version is a new snapshot. As long as one is kept, what is derived of its version stays
open. Its repr shows neither the configuration nor the digest: a short secret can be guessed from an unkeyed digest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from confcast.worker.health.tally import Tally

if TYPE_CHECKING:
    from confcast.worker.derived.things import Things

T = TypeVar("T")


class Snapshot(Generic[T]):
    """A configuration, its version, and the digest of its encoding. Immutable.

    Attributes:
        config: The configuration, an instance of the replica's schema.
        version: Its number; higher is newer. `override()` begins with 1, and each `push` adds 1.
        digest: 16 bytes; equal for equal encodings.
    """

    __slots__ = ("_tally", "_things", "config", "digest", "version")

    config: T
    version: int
    digest: bytes
    _things: Things | None  # what is derived of it: so one reference swaps both
    _tally: Tally  # of the requests that were pinned to it

    def __init__(self, config: T, version: int, digest: bytes, _things: Things | None = None) -> None:
        object.__setattr__(self, "config", config)
        object.__setattr__(self, "version", version)
        object.__setattr__(self, "digest", digest)
        object.__setattr__(self, "_things", _things)
        object.__setattr__(self, "_tally", Tally())

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Snapshot is immutable; {name!r} can't be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Snapshot is immutable; {name!r} can't be deleted")

    def __repr__(self) -> str:
        return f"Snapshot({type(self.config).__name__}, version={self.version})"
