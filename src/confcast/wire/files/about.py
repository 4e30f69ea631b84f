"""The file `about` in a runtime directory: what the owner loads, which command started its server, and where.

The owner writes the file once it has imported the schema. A process that has lost its owner recognises the next one by
the file, and commands show its content in a list of owners. Its mode is 0600; if workers run as another user, it
belongs to that user. It holds no values: of a source only the kind and the files.

Rejected: asking each owner (an owner that hangs must be listed, too), and `/proc` alone (a worker of another user may
not read it, and macOS has none).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from confcast.texts import encodable
from confcast.wire.decoders import decode
from confcast.wire.files import whole_files
from confcast.wire.messages import UNDECODABLE

FILE = "about"
"""The file's name in the runtime directory."""

_LONGEST = 64 * 1024


class About(msgspec.Struct, frozen=True):
    """One configuration of one server.

    Attributes:
        name: The configuration's name.
        schema: The import path of the configuration's schema.
        qualname: The qualified name of the schema's class, whichever name the import path has.
        module: The file of the schema's module; "" if it has none.
        sources: The sources, each as its kind and its file.
        working_directory: The master's working directory when this owner began.
        command: The master's command line.
        fingerprint: The fingerprint of the schema's fields; empty from an earlier build.
        address: The lasting address that leads to the owner, if it has one.
    """

    name: str
    schema: str
    qualname: str
    module: str
    sources: list[str]
    working_directory: str
    command: str
    fingerprint: bytes = b""
    address: str = ""

    @property
    def loads(self) -> tuple[str, ...]:
        """The schema and the sources, for a comparison with another owner's."""
        return (self.schema, *self.sources)

    @property
    def files(self) -> list[str]:
        """The sources that have files, each as its kind and its file."""
        return [source for source in self.sources if " " in source]


def module_file(schema: type) -> str:
    """The file from which the module of this class was imported; "" if it has none."""
    file = getattr(sys.modules.get(schema.__module__), "__file__", None)
    return os.path.abspath(file) if file else ""  # noqa: PTH100 - no link is followed: a release is moved by one


def save(folder: Path, about: About, *, uid: int = -1, gid: int = -1) -> None:
    """Write the file into the folder, for this uid (-1: for this process's) and this group. Raises OSError."""
    whole_files.put(folder, FILE, msgspec.msgpack.encode(_encodable(about)), uid=uid, gid=gid)


def _encodable(about: About) -> About:
    """The same with escapes in paths that are no UTF-8: every owner writes them so, which allows a comparison."""
    texts = {name: encodable(text) for name in about.__struct_fields__ if isinstance(text := getattr(about, name), str)}
    return msgspec.structs.replace(about, **texts, sources=list(map(encodable, about.sources)))


def load(folder: Path) -> About | None:
    """Read the file in this folder; None if there is none that can be read."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # root reads folders of any user
        fd = os.open(folder / FILE, flags)
        try:
            return decode(os.read(fd, _LONGEST), About)
        finally:
            os.close(fd)
    except (OSError, *UNDECODABLE):
        return None
