"""The errors that confcast raises, and `Problem`, which says what is wrong with a configuration, and where.

Every error that confcast defines is a `ConfcastError`. Each message is written for the person who has to act on it: it
says which file, line, column and key, what was expected, what was found, and what to do. Rejected: one error class with
a code (callers want `except NotAttached`), and stopping at the first problem of a configuration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from confcast.texts import printable, printable_lines

MOST = 100
"""How many problems of one configuration are reported; one more says how many others there are."""

_LONGEST = 4000
_ROOM = 128 * 1024
_MORE = re.compile(r"and ([1-9][0-9]{0,2}(?:,[0-9]{3}){0,5}) more")  # what more() returns; other processes send it, too


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong with a configuration, and where.

    Attributes:
        key: The dotted key, such as `memory.total_budget_mb`; empty when the problem is not about one key.
        message: What was expected and, unless it may be a secret, what was found.
        location: `file:line:column`, `environment variable NAME`, `worker 4711`, `worker 4711 and 3 more`, …; empty if
            unknown.
        excerpt: The line of the file at that position, secrets masked. Only what `check` refuses has it; else empty.
    """

    key: str
    message: str
    location: str = ""
    excerpt: str = ""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            text = getattr(self, name)
            shown = printable(text)  # a variable's or a file's name may not be UTF-8, and a problem is sent as UTF-8
            if shown != text:
                msgspec.structs.force_setattr(self, name, shown)

    def __str__(self) -> str:
        return ": ".join(part for part in (self.location, self.key, self.message) if part)


def first_of(problems: Sequence[Problem]) -> list[Problem]:
    """Shorten a list of problems to those that are sent, logged and shown.

    Returns:
        The first 100, or fewer if their texts are long; a text of more than 4,000 characters is cut. A last problem,
        such as `and 63,900 more`, counts the others, including those that such a problem in the given list counts.
    """
    shown: list[Problem] = []
    room = _ROOM
    for problem in problems:
        if _others(problem):
            continue
        cut = Problem(*(_cut(getattr(problem, name)) for name in problem.__struct_fields__))
        room -= sum(len(getattr(cut, name)) for name in cut.__struct_fields__)
        if len(shown) == MOST or room < 0:
            break
        shown.append(cut)
    rest = sum(_others(problem) or 1 for problem in problems) - len(shown)
    return [*shown, Problem("", more(rest))] if rest else shown


def more(count: int) -> str:
    """The text that stands for the rest of a shortened list."""
    return f"and {count:,} more"


def counted(texts: Sequence[str]) -> int:
    """The number of these texts, where each `more(…)` counts as many as it stands for."""
    return sum(_more(text) or 1 for text in texts)


def _others(problem: Problem) -> int:
    """How many problems this one counts, if it ends a shortened list, also a worker's; otherwise 0.

    A problem with a key, or with a place in a source, counts none, whatever its text is.
    """
    ends_a_list = not problem.key and (not problem.location or problem.location.startswith("worker "))
    return _more(problem.message) if ends_a_list else 0


def _more(text: str) -> int:
    found = _MORE.fullmatch(text)
    return int(found[1].replace(",", "")) if found else 0


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text):,} characters)"


def _text(problems: Sequence[object]) -> str:
    """The text of an error with these problems; a user's source may give texts instead of problems."""
    given = [each if isinstance(each, Problem) else Problem("", str(each)) for each in problems]
    return "\n".join(map(str, first_of(given)))


class ConfcastError(Exception):
    """The base of every error that confcast raises."""

    several_lines = True  # in a log, too: for example, one line for each problem

    def __str__(self) -> str:
        return printable_lines(super().__str__())


class ConfigError(ConfcastError):
    """The configuration can't be used; `problems` lists everything that is wrong with it.

    The error's text, and messages to other processes, have the first 100.

    Attributes:
        problems: Every problem found, in the order of the sources and of the file; of more than 1,000 values that do
            not fit the schema, the others are counted by one.
        reason: `"validation_failed"`, `"file_not_found"` or `"io_error"`: the value of the resulting `ReloadResult`.
    """

    def __init__(self, problems: Sequence[Problem], reason: str = "validation_failed") -> None:
        self.problems = list(problems)
        self.reason = reason
        super().__init__(_text(self.problems))


class NotAttached(ConfcastError, RuntimeError):
    """A replica was read before `attach()`, or a manager was asked before `start()`."""


class BuildError(ConfcastError):
    """What is derived of the configuration could not be built in this process.

    Attributes:
        name: The derived thing's name.
        key: The key of its part of the configuration; "" for the whole, or if unknown.
        problems: Why, with secrets masked.
    """

    def __init__(self, name: str, key: str, problems: Sequence[Problem]) -> None:
        self.name = name
        self.key = key
        self.problems = list(problems)
        super().__init__(_text(self.problems))


class OwnerUnavailable(ConfcastError):
    """The config owner did not answer in time. Whether it has carried out the request is unknown."""


class SchemaMismatch(ConfcastError):
    """This process's schema differs from the schema with which the owner's configuration was made.

    Attributes:
        fields: For each field that differs, `(here, there)` as text; None where that side lacks the field.
    """

    def __init__(self, message: str, fields: Mapping[str, tuple[str | None, str | None]] | None = None) -> None:
        self.fields = dict(fields or {})
        super().__init__(message)


class NotCarried(ConfcastError):
    """A type or a value can't be serialised exactly for the workers, so it is refused; `problems` has the paths."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__(_text(self.problems))


class ProtocolError(ConfcastError):
    """A peer sent something that the protocol does not allow. Only that peer's pipe is closed."""


class ImpossibleMessage(ProtocolError):
    """A message reached a state machine in a state where it can't occur: a defect of confcast."""

    def __init__(self, state: object, message: object) -> None:
        super().__init__(f"{message!r} can't occur in state {state}")
