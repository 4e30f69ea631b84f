"""What can go wrong, as types.

Everything confcast raises on its own account is a `ConfcastError`. Each message is written for the person who has
to act on it: which file, line, column and key, what was expected, what was found, what to do. Rejected: one error
class with a code (callers want `except NotAttached`), and stopping at the first problem of a configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong with a configuration, and where.

    Attributes:
        key: The dotted key, such as `memory.total_budget_mb`; empty when the problem is not about one key.
        message: What was expected and, unless it may be a secret, what was found.
        location: `file:line:column`, `environment variable NAME`, `worker 4711`, `worker 4711 and 3 more`, …; empty
            when unknown.
    """

    key: str
    message: str
    location: str = ""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            text = getattr(self, name)
            if not text.isascii():  # a variable's or a file's name may have bytes that are no UTF-8: it has to travel
                shown = text.encode(errors="backslashreplace").decode()
                msgspec.structs.force_setattr(self, name, shown)

    def __str__(self) -> str:
        return ": ".join(part for part in (self.location, self.key, self.message) if part)


class ConfcastError(Exception):
    """The base of every error that confcast raises."""


class ConfigError(ConfcastError):
    """The configuration can't be used; `problems` lists everything that is wrong with it.

    Attributes:
        problems: Every problem found, in the order of the sources and of the file.
        reason: `"validation_failed"`, `"file_not_found"` or `"io_error"`: the `ReloadResult` that it leads to.
    """

    def __init__(self, problems: Sequence[Problem], reason: str = "validation_failed") -> None:
        self.problems = list(problems)
        self.reason = reason
        super().__init__("\n".join(map(str, self.problems)))


class NotAttached(ConfcastError, RuntimeError):
    """A replica was read before `attach()`, or a manager was asked before `start()`."""


class OwnerUnavailable(ConfcastError):
    """The config owner did not answer in time. What became of the request is unknown."""


class SchemaMismatch(ConfcastError):
    """This process's schema is not the one that the owner's configuration was made with.

    Attributes:
        fields: For each field that differs, `(here, there)` as text; None where that side lacks the field.
    """

    def __init__(self, message: str, fields: Mapping[str, tuple[str | None, str | None]] | None = None) -> None:
        self.fields = dict(fields or {})
        super().__init__(message)


class NotCarried(ConfcastError):
    """A type or a value can't be carried to the workers exactly, so it is refused; `problems` has the paths."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, self.problems)))


class ProtocolError(ConfcastError):
    """A peer sent what the protocol does not allow. Only its own pipe is closed."""


class ImpossibleMessage(ProtocolError):
    """A message reached a state machine in a state where it can't occur: a defect in confcast's shell."""

    def __init__(self, state: object, message: object) -> None:
        super().__init__(f"{message!r} can't occur in state {state}")
