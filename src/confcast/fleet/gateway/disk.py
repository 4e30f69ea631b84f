"""The copy on disk: a gateway's id, and of each key the last head with its payloads.

Guarantees. Each file is replaced as a whole, has mode 0600, and lies in a folder of mode 0700. A head is written after
its payloads, so that the copy is whole. A payload is compared with its digest when it is read; one that is another is
as if it was not there. Payloads that no head names any more are deleted. A second gateway with the same folder is
refused in words.

All methods may block on the disk: whoever has a loop calls them in another thread. What has a digest for its name is
named in plain text: a Path interns its parts, which Python 3.12.1 keeps for good, and each publication has a digest.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import socket
from collections.abc import Collection
from pathlib import Path

from confcast.fleet.engines.engine import MOST_PAYLOAD
from confcast.fleet.gateway.errors import StateFolderError
from confcast.fleet.head import MOST_BYTES, digest_of, is_digest
from confcast.wire.files import whole_files

_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")


def new_id() -> str:
    """An id for a gateway: the host's name and eight digits by chance."""
    name = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:60]
    return f"gateway-{name}-{secrets.token_hex(4)}"


class StateFolder:
    """A gateway's folder. It is this process's alone until it is closed.

    Args:
        path: The folder; it is made if its parent is there.

    Raises:
        StateFolderError: It can't be made or used, or another gateway has it.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        try:
            self.path.mkdir(mode=0o700, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            text = "give one that this user may write, by --state-dir"
            raise StateFolderError(
                f"{path}: the gateway's copy can't be kept there: {error.strerror}; {text}"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            text = "another gateway uses this folder: give each its own, by --state-dir"
            raise StateFolderError(f"{path}: {text}") from error

    def gateway_id(self) -> str:
        """The id in the folder; made anew where there is none."""
        with contextlib.suppress(OSError, ValueError):
            found = _read(self.path / "id", 200).decode("ascii").strip()
            if _ID.fullmatch(found):
                return found
        made = new_id()
        _put(self.path, "id", f"{made}\n".encode())
        return made

    def copy_of(self, key: str) -> Copy:
        """The copy of this key's head."""
        return Copy(self.path / f"key-{hashlib.sha256(key.encode()).hexdigest()[:32]}")

    def close(self) -> None:
        """Give the folder back."""
        os.close(self._lock)


class Copy:
    """The copy of one key's head, and of its payloads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def head(self) -> bytes | None:
        """The last head; None if there is none."""
        with contextlib.suppress(OSError):
            return _read(self._folder / "head", MOST_BYTES + 1) or None
        return None

    def payload(self, digest: str) -> bytes | None:
        """The payload under this digest; None if it is not there, or not what was written."""
        with contextlib.suppress(OSError):
            content = _read(f"{self._folder}/{digest}", MOST_PAYLOAD + 1)
            return content if digest_of(content) == digest else None
        return None

    def keep_payload(self, digest: str, content: bytes) -> None:
        """Write a payload. Raises StateFolderError."""
        self._put(digest, content)

    def keep_head(self, head: bytes, digests: Collection[str]) -> None:
        """Write a head, whose payloads are there, and delete all payloads but these. Raises StateFolderError."""
        self._put("head", head)
        for name in os.listdir(self._folder):  # noqa: PTH208
            if is_digest(name.removeprefix(".")) and name not in digests:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{self._folder}/{name}")  # noqa: PTH108

    def _put(self, name: str, content: bytes) -> None:
        with contextlib.suppress(OSError):  # a folder that can't be made is told by the write
            self._folder.mkdir(mode=0o700, exist_ok=True)
        _put(self._folder, name, content)


def _read(path: Path | str, most: int) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - plain text, of a digest
        return file.read(most)


def _put(folder: Path, name: str, content: bytes) -> None:
    try:
        whole_files.put(folder, name, content)
    except OSError as error:
        raise StateFolderError(f"{folder}: the gateway's copy can't be written: {error.strerror}") from error
