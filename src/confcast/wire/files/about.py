"""The file `about` in a run-time folder: what the owner loads, and which command has started its server, and where.

The owner writes it once it has imported the schema. A process that has lost its owner recognises the next one by it,
and a person reads it in a list of owners. It is 0600, the workers' where they run as another user, and holds no values:
of a source only its kind and its files.

Rejected: asking each owner (one that hangs is listed, too), and `/proc` alone (a worker of another user may not read
it, and macOS has none).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from confcast.texts import encodable
from confcast.wire.files import whole_files
from confcast.wire.messages import UNDECODABLE

FILE = "about"
"""Its name in the run-time folder."""

_LONGEST = 64 * 1024


class About(msgspec.Struct, frozen=True):
    """One configuration of one server.

    Attributes:
        name: The configuration's name.
        schema: The import path of its schema.
        qualname: The name of that class in its module, whichever name is imported.
        module: The file of its module; "" where it has none.
        sources: The sources, each as its kind and its file.
        working_directory: The master's, when this owner began.
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
        """The schema and the sources, for a comparison with another owner's."""
        return (self.schema, *self.sources)

    @property
    def files(self) -> list[str]:
        """The sources that have files."""
        return [source for source in self.sources if " " in source]


def module_file(schema: type) -> str:
    """The file from which the module of this class was imported; "" where it has none."""
    file = getattr(sys.modules.get(schema.__module__), "__file__", None)
    return os.path.abspath(file) if file else ""  # noqa: PTH100 - no link is followed: a release is moved by one


def save(folder: Path, about: About, *, uid: int = -1) -> None:
    """Write the file into the folder, for this uid (-1: this process's). Raises OSError."""
    whole_files.put(folder, FILE, msgspec.msgpack.encode(_encodable(about)), uid=uid)


def _encodable(about: About) -> About:
    """The same with escapes in paths that are no UTF-8: every owner writes them so, which allows a comparison."""
    texts = {name: encodable(text) for name in about.__struct_fields__ if isinstance(text := getattr(about, name), str)}
    return msgspec.structs.replace(about, **texts, sources=list(map(encodable, about.sources)))


def load(folder: Path) -> About | None:
    """Read the file in this folder; None when there is none that can be read."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # root reads folders of any user
        fd = os.open(folder / FILE, flags)
        try:
            return msgspec.msgpack.decode(os.read(fd, _LONGEST), type=About)
        finally:
            os.close(fd)
    except (OSError, *UNDECODABLE):
        return None
