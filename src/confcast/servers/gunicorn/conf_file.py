"""A HUP finds out what has changed in gunicorn's conf file since gunicorn ran it, without running the file.

gunicorn's own HUP runs the conf file anew, with all its effects: the file may import modules, make folders, clear a
folder of metrics, start clients. An operator who sends HUP, perhaps once a minute, wants another configuration without
these effects; and a conf file that fails would end the master. So the file is parsed and not run: its statements are
compared with those that gunicorn ran, name by name, comments and layout aside. A full reload (RTMIN) runs it.

`workers` is taken over if the text sets it to a plain number, since gunicorn changes the number of its workers without
replacing one, and unless the command line or GUNICORN_CMD_ARGS sets a number, which gunicorn prefers. The master logs
every other changed name, once for each text.

Two changes are not noticed: a value that changes while its expression does not (`workers = cpu_count()`), and a file
that the conf file imports. Rejected: running the file in the master (for the reasons above), and in a child (its
effects outside of the process are the same: a folder that it clears is cleared).
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, NamedTuple

_OTHER = "other lines"


class Changes(NamedTuple):
    """What has changed in a conf file.

    Attributes:
        workers: The number that the file sets since the last look, if it can be taken over; otherwise None.
        names: The names whose statements differ from those that gunicorn ran; "other lines" stands for statements that
            set or define no name.
    """

    workers: int | None
    names: tuple[str, ...]


class ConfFile:
    """The conf file as gunicorn has run it.

    Args:
        path: The file; None if there is none (a program that calls `install` itself).
    """

    def __init__(self, path: str | None) -> None:
        self.path = Path(path).absolute() if path else None
        self.was_run()

    def was_run(self) -> None:
        """Note the present text as the one that gunicorn has run."""
        self._ran = self._looked_at = self._read()

    def _read(self) -> bytes | None:
        try:
            return self.path.read_bytes() if self.path is not None else None
        except OSError:
            return None

    def look(self) -> Changes | None:
        """Find what has changed in the conf file since the last look. Returns None if its text is the same.

        Raises:
            SyntaxError, ValueError: The file can't be parsed.
            OSError: The file can't be read.
        """
        if self.path is None or self._ran is None:
            return None
        text = self.path.read_bytes()
        before, self._looked_at = self._looked_at, text
        return compare(self._ran, before or b"", text) if text != before else None


def compare(ran: bytes, before: bytes, now: bytes) -> Changes:
    """Compare the text that gunicorn ran, the text of the last look, and the present one. Runs none of them.

    Raises:
        SyntaxError, ValueError: The present text is not valid Python.
    """
    first, last = _statements(ran), _statements(now)
    names = {name for name in {**first, **last} if first.get(name) != last.get(name)}
    if _number(now):
        names.discard("workers")
    elif _number(before):  # that number was taken over, and the file no longer sets it
        names.add("workers")
    workers = _number(now) if _number(now) != _number(before) else None
    return Changes(workers, tuple(sorted(names, key=lambda name: (name == _OTHER, name))))


def _statements(text: bytes) -> dict[str, list[str]]:
    """For each name, the statements at the file's top level that set or define it, as ast.dump writes them."""
    found: dict[str, list[str]] = {}
    for statement in ast.parse(text).body:
        written = ast.dump(statement)
        for name in _names(statement) or {_OTHER}:
            found.setdefault(name, []).append(written)
    return found


def _names(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def _number(text: bytes) -> int | None:
    """The number to which `workers` is set, if one statement sets it, to a literal above 0; otherwise None."""
    try:
        found = [statement for statement in ast.parse(text).body if "workers" in _names(statement)]
    except (SyntaxError, ValueError):  # raised for an older text; the present one was parsed before
        return None
    if len(found) == 1 and isinstance(found[0], ast.Assign) and isinstance(found[0].value, ast.Constant):
        value = found[0].value.value
        if type(value) is int and value > 0:
            return value
    return None


def is_said_elsewhere(cfg: Any) -> bool:
    """Whether the command line or GUNICORN_CMD_ARGS sets the number of workers, which overrides the conf file."""
    parser = cfg.parser()
    try:
        said = parser.parse_args(), parser.parse_args(cfg.get_cmd_args_from_env())
    except SystemExit:  # raised in a program with its own arguments
        return True
    return any(arguments.workers is not None for arguments in said)
