"""Reads a file that holds one value, as a secret is given to a process: by Docker, Kubernetes, systemd or a person.

Guarantees: the content is the whole of a regular file of at most `MOST` bytes in UTF-8, at a moment at which no process
had it open for writing, as far as a lease shows; anything else is a fault in words, an empty file too (it may be half
written; a file that holds nothing but a newline is the empty text). One newline at the end is no part of the value
(`echo secret > file` writes one), and is reported. No message quotes the content.

A NUL is refused: no variable can hold one, and the same text means the same value wherever it stands.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from confcast.config.sources import disk
from confcast.config.sources.layer import fingerprint_of

MOST = 1024 * 1024
"""Bytes of a secret at the most; Kubernetes and systemd have the same bound."""

_FEW = 10


class SecretFile(NamedTuple):
    """What a file gives as one value.

    Attributes:
        path: The file, as messages name it.
        text: The value; empty if there is a fault.
        fault: Why there is none, as the predicate of a sentence about the file; empty if there is one.
        fingerprint: 16 bytes that differ for each content, and for each reason why there is none.
        had_newline: Whether one newline was taken off the end.
        mode: The permission bits of the file, if others than its owner may read it who need not; otherwise 0.
    """

    path: str
    text: str = ""
    fault: str = ""
    fingerprint: bytes = b""
    had_newline: bool = False
    mode: int = 0

    def __repr__(self) -> str:
        return f"<SecretFile {self.path}>"  # without the value: error trackers send the variables of a frame


def read_secret(
    path: str, shown: str = "", read: Callable[[str], tuple[bytes, os.stat_result]] | None = None
) -> SecretFile:
    """Read one file, which messages name as `shown`. May wait a quarter of a second for a writer. Never raises.

    `read` stands in the place of `disk.read_with_stat`, and raises what that raises.
    """
    shown = shown or path
    try:
        content, found = (read or disk.read_with_stat)(path)
    except (FileNotFoundError, NotADirectoryError):
        return SecretFile(shown, "", "does not exist", disk.MISSING)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        text = getattr(error, "strerror", None) or str(error)
        fault = f"can't be read by uid {_uid()}, as which the config owner runs: {text}"
        return SecretFile(shown, "", fault, disk.fingerprint_now(path))
    except disk.NotReadable as error:
        return SecretFile(shown, "", str(error), disk.fingerprint_now(path))
    text, fault = _value_of(content)
    had_newline = text.endswith("\n")
    value = text.removesuffix("\n").removesuffix("\r") if had_newline else text
    return SecretFile(shown, value, fault, fingerprint_of(content), had_newline, _open_mode(found))


def read_in_its_folder(
    path: str, shown: str = "", read: Callable[[str], tuple[bytes, os.stat_result]] | None = None
) -> SecretFile:
    """Read one file as `read_secret` does; its rights don't matter if nobody else may enter its folder."""
    file = read_secret(path, shown, read)
    return file._replace(mode=0) if file.mode and not can_enter(os.path.dirname(path)) else file  # noqa: PTH120


def can_enter(folder: str) -> bool:
    """Whether others than its owner may enter a folder, and so reach the files in it. True if that can't be known."""
    try:
        return bool(os.stat(folder).st_mode & (stat.S_IXGRP | stat.S_IXOTH))  # noqa: PTH116 - at each load
    except OSError:
        return True


def warnings_of(files: Sequence[SecretFile]) -> Iterator[str]:
    """The sentences about these files: of which a newline was taken off, and which others may read."""
    taken = [each.path for each in files if each.had_newline]
    if taken:
        yield f"one newline at the end was taken off {_listed(taken)}"
    opened = [each for each in files if each.mode]
    if opened:
        modes = ", ".join(dict.fromkeys(f"{each.mode:04o}" for each in opened))
        names = _listed([each.path for each in opened])
        yield f"others than the owner may read {names} (mode {modes}): 0400 keeps a secret to its owner"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more


def _value_of(content: bytes) -> tuple[str, str]:
    """The text of a content, and why it is none."""
    if len(content) > MOST:
        return "", f"is larger than {MOST // 1024**2} MiB, which is no secret"
    if not content:
        return "", "is empty: nothing is written in it yet (an empty text is a file with one newline)"
    try:
        text = content.decode().removeprefix("\ufeff")  # editors on Windows begin a file with a byte order mark
    except UnicodeDecodeError:
        return "", "is not UTF-8: a secret in bytes has to be written as text, in base64 or hex"
    return (text, "") if "\0" not in text else ("", "has a NUL in it: a secret in bytes has to be written as text")


def _open_mode(found: os.stat_result) -> int:
    """The permission bits, if they let others read who need not; otherwise 0.

    A group that may read is how a file of root's is given to a user: that counts only for a file of this user's own.
    """
    opened = found.st_mode & stat.S_IROTH or (found.st_mode & stat.S_IRGRP and found.st_uid == _uid())
    return stat.S_IMODE(found.st_mode) if opened and os.name != "nt" else 0  # Windows has no such bits


def _uid() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0
