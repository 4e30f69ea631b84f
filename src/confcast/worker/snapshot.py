"""One configuration under one version.

A snapshot never changes; a new version is a new snapshot. Its repr shows neither the configuration nor the digest:
a short secret can be guessed from an unkeyed digest.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Snapshot(Generic[T]):
    """A configuration, its version, and the digest of its encoding. Immutable.

    Attributes:
        config: The configuration, an instance of the replica's schema.
        version: Its number; higher is newer. `override()` begins with 1, and each `push` adds 1.
        digest: 16 bytes; equal for equal encodings.
    """

    __slots__ = ("config", "digest", "version")

    config: T
    version: int
    digest: bytes

    def __init__(self, config: T, version: int, digest: bytes) -> None:
        object.__setattr__(self, "config", config)
        object.__setattr__(self, "version", version)
        object.__setattr__(self, "digest", digest)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Snapshot is immutable; {name!r} can't be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Snapshot is immutable; {name!r} can't be deleted")

    def __repr__(self) -> str:
        return f"Snapshot({type(self.config).__name__}, version={self.version})"
