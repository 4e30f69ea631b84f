"""The report of a command: an exit code, a text for a person, and the same as data for a program.

Guarantee: no text from a file, a worker or a name can control the terminal: characters that can't be printed show as
escapes, and one cell is one line. A table without room on the terminal becomes a block of lines for each row.
"""

from __future__ import annotations

import enum
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TextIO

import msgspec

from confcast.cli import terminal
from confcast.errors import Problem
from confcast.texts import printable, printable_json
from confcast.texts import when as when
from confcast.wire.messages import WorkerStatus
from confcast.wire.whole_data import whole

_INTERPRETER = re.compile(r"(python|pypy)[0-9.]*")


class ExitCode(enum.IntEnum):
    """The exit status of a command; NOT_READ, of a report that can't be written, is a program's that SIGPIPE has ended.

    NOT_EXECUTABLE and NOT_FOUND are what shells give for a program that can't be started: `confcast exec`'s.
    """

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NO_OWNER = 3
    NOT_BY_ALL = 4
    CONFLICT = 5
    ON_TRIAL = 6
    NOT_EXECUTABLE = 126
    NOT_FOUND = 127
    NOT_READ = 141


class Report(NamedTuple):
    """The result of a command.

    Attributes:
        exit: The exit code.
        text: For a person.
        data: The same for a program.
        more: If there are any, these are written in its place, each as it comes; with `--json`, each on one line. The
            exit code counts once they have ended.
    """

    exit: ExitCode
    text: str
    data: dict[str, Any]
    more: Iterator[Report] | None = None


def line(value: object) -> str:
    """Any value as printable text on one line."""
    return printable(str(value))


def problem_lines(problem: Problem, indent: str = "") -> list[str]:
    """A problem as lines: its text and, where it has one, the line of the file with a caret below the column.

    A terminal without room for that line gets none: folded, the caret would point at something else.
    """
    lines = [indent + line(problem)]
    _, _, column = problem.location.rpartition(":")
    if not problem.excerpt or not column.isdecimal():
        return lines
    before, after = line(problem.excerpt[: int(column) - 1]), line(problem.excerpt[int(column) - 1 :])
    caret = " " * terminal.cells(before) + "^"
    shown = [f"{indent}    {before}{after}".rstrip(), f"{indent}    {caret}"]
    room = terminal.columns(sys.stdout)
    return lines + shown if not 0 < room < max(map(terminal.cells, shown)) else lines


def table(header: Sequence[str], rows: Iterable[Sequence[object]], stream: TextIO | None = None) -> list[str]:
    """The lines of a table with aligned columns; columns of numbers are aligned to the right.

    Args:
        header: The columns' names; "" for a column that shows a mark.
        rows: The cells, of any type.
        stream: Where the table will be written; None for standard output. If it is a terminal without room for the
            widest row, each row becomes a block: a line for each cell that is not empty, behind its column's name.
    """
    rows = list(rows)
    cells = [list(header), *([line(cell) for cell in row] for row in rows)]
    widths = [max(map(terminal.cells, column)) for column in zip(*cells, strict=True)]
    right = [all(isinstance(cell, int) for cell in column) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(_pad, row, widths, right or [False] * len(header))).rstrip() for row in cells]
    room = terminal.columns(stream or sys.stdout)
    return _blocks(header, cells[1:]) if rows and 0 < room < max(map(terminal.cells, lines)) else lines


def _blocks(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The rows as blocks, with a free line between them; a mark stands behind the first cell that has a name."""
    width = max(map(len, header))
    lines = list[str]()
    for row in rows:
        marks = "".join(f"  {cell}" for name, cell in zip(header, row, strict=True) if cell and not name)
        block = [f"{name:{width}}  {cell}" for name, cell in zip(header, row, strict=True) if cell and name]
        lines += ["", block[0] + marks, *block[1:]] if block else []
    return lines[1:]


def failing_observers(workers: Iterable[WorkerStatus]) -> list[str]:
    """One line for each worker whose observers have failed: how often, and the last error."""
    lines = []
    for worker in workers:
        if number := worker.observer_failures:
            times = "1 time" if number == 1 else f"{number} times, the last time"
            lines.append(f"observers of {worker.pid} failed {times}: {line(worker.last_observer_error)}")
    return lines


def spoken(command: str) -> str:
    """A command line as a person types it: without the interpreter, and without the folder of the program."""
    words = command.split(" ")
    if len(words) > 1 and _INTERPRETER.fullmatch(_basename(words[0])):
        is_module = words[1] == "-m" and len(words) > 2
        words = words[2:] if is_module else words[1:] if not words[1].startswith("-") else words
    return " ".join([_basename(words[0]) or words[0], *words[1:]])


def _basename(path: str) -> str:
    return path.rpartition("/")[2]


def user_name(uid: int) -> str:
    """The name of this user; the number if the system has no name for it."""
    import pwd  # imported here: `confcast check` runs on Windows, too

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def caller_name(uid: int, actor: str = "") -> str:
    """Who called, in words: the user, and for whom its process says that it called."""
    return f"{user_name(uid)}, for {line(actor)}" if actor else user_name(uid)


def as_json(data: Any, *, indent: int = 2) -> str:
    """One JSON document, indented; with -1, on one line. A Struct becomes an object with all of its fields."""
    return printable_json(msgspec.json.format(msgspec.json.encode(whole(data)), indent=indent).decode())


def _pad(cell: str, width: int, right: bool) -> str:
    blanks = " " * (width - terminal.cells(cell))
    return blanks + cell if right else cell + blanks
