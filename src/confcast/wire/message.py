"""What all messages are: a Struct that is sent in a frame, and a Struct whose secrets no repr shows."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec


class Message(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The base of all messages that are sent in frames."""


class WithSecrets(msgspec.Struct, frozen=True):
    """The base of Structs that hold secrets: a repr, and the one that tracebacks of `rich` use, has only `SHOWN`."""

    SHOWN: ClassVar[tuple[str, ...]]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in self.SHOWN]
