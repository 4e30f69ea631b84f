"""What the file of a secret can be that is none: each function makes one, and says what is said of it."""

from __future__ import annotations

import os
from pathlib import Path


def other_bytes(path: Path) -> str:
    path.write_bytes(b"\xff\x00s3cret")
    return "is not UTF-8: a secret in bytes has to be written as text, in base64 or hex"


def a_nul(path: Path) -> str:
    path.write_bytes(b"s3cret\0")
    return "has a NUL in it: a secret in bytes has to be written as text"


def empty(path: Path) -> str:
    path.touch()
    return "is empty: nothing is written in it yet (an empty text is a file with one newline)"


def too_large(path: Path) -> str:
    path.write_bytes(b"s3cret" * 200_000)
    return "is larger than 1 MiB, which is no secret"


def a_directory(path: Path) -> str:
    path.mkdir()
    return "is a directory, not a file"


def a_fifo(path: Path) -> str:
    os.mkfifo(path)
    return "is not a regular file"


def a_loop(path: Path) -> str:
    path.symlink_to(path.name)
    return f"can't be read by uid {os.geteuid()}, as which the config owner runs: Too many levels of symbolic links"


FAULTS = [other_bytes, a_nul, empty, too_large, a_directory, a_fifo, a_loop]
