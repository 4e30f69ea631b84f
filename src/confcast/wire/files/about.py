"""What an owner tells of its server, in its run-time folder: what is loaded, and who has started it, where and how.

Written by the owner once it has imported the schema, for those who choose among owners: a process that has lost its own
knows the next one by it, and a person reads it in a list. It is 0600, the workers' where they have a user of their own,
and holds no values: of a source only its kind and its files.

Rejected: asking each owner (one that hangs is listed, too), and `/proc` alone (a worker of another user may not look
there, and there is none on macOS).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from confcast.wire.files import whole_files

FILE = "about"
"""Its name in the run-time folder."""

_LONGEST = 64 * 1024


class About(msgspec.Struct, frozen=True):
    """One server, as far as one configuration of it goes.

    Attributes:
        name: The configuration's.
        schema: The import path of its schema.
        qualname: What that class is called in its module, whichever name is imported.
        module: The file of its module; "" where it has none.
        sources: What is loaded, as the kinds of the sources and their files.
        working_directory: The master's, as it was when this owner began.
        command: The master's command line.
    """

    name: str
    schema: str
    qualname: str
    module: str
    sources: list[str]
    working_directory: str
    command: str

    @property
    def loads(self) -> tuple[str, ...]:
        """What is loaded, to be compared."""
        return (self.schema, *self.sources)

    @property
    def files(self) -> list[str]:
        """The sources that have files."""
        return [source for source in self.sources if " " in source]


def module_file(schema: type) -> str:
    """The file of the module that this class is of, as it was imported; "" where it has none."""
    file = getattr(sys.modules.get(schema.__module__), "__file__", None)
    return os.path.abspath(file) if file else ""  # noqa: PTH100 - no link is followed: a release is moved by one


def save(folder: Path, about: About, *, uid: int = -1) -> None:
    """Put it into the folder, and give the file to this uid (-1: to nobody). Raises OSError."""
    whole_files.put(folder, FILE, msgspec.msgpack.encode(_encodable(about)), uid=uid)


def _encodable(about: About) -> About:
    """The same with escapes in paths that are no UTF-8: every owner writes them so, and they can be compared."""
    texts = {name: _utf_8(text) for name in about.__struct_fields__ if isinstance(text := getattr(about, name), str)}
    return msgspec.structs.replace(about, **texts, sources=list(map(_utf_8, about.sources)))


def _utf_8(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def load(folder: Path) -> About | None:
    """What the owner there tells; None when there is nothing that can be read."""
    try:
        fd = os.open(folder / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)  # of anybody, for root
        try:
            return msgspec.msgpack.decode(os.read(fd, _LONGEST), type=About)
        finally:
            os.close(fd)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
