"""What has changed in gunicorn's conf file since gunicorn ran it, told without running it.

gunicorn's own HUP runs the conf file anew, with all that it does besides setting names: it imports modules, makes
folders, clears one with metrics, starts clients. An operator who sends our HUP, perhaps once a minute, wants another
configuration and nothing of that; and a conf file that fails would end the master. So the file is parsed and not run:
its statements are compared with those that gunicorn ran, name by name, comments and layout aside. A full reload (RTMIN)
runs it.

`workers` is taken over where both texts set it to a plain number, since gunicorn raises and lowers the number of its
workers without replacing one, and unless the command line or GUNICORN_CMD_ARGS says another one, as gunicorn has it.
Everything else is named, once for each text.

What is not seen: a value that changes while its expression does not (`workers = cpu_count()`), and another file that
the conf file imports. Rejected: running it in the master (above), and in a child (it does there what it does anywhere:
a folder that it clears is cleared).
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, NamedTuple

_OTHER = "other lines"


class Changes(NamedTuple):
    """What one text says that the other one does not.

    Attributes:
        workers: The number that it sets since the last look, where that can be taken over; else None.
        names: Everything else that differs from what was run, by the names that it sets or defines; "other lines" for
            what sets none.
    """

    workers: int | None
    names: tuple[str, ...]


class ConfFile:
    """The conf file as gunicorn has run it.

    Args:
        path: Where it is; None where there is none (a program that calls `install` itself).
    """

    def __init__(self, path: str | None) -> None:
        self.path = Path(path).absolute() if path else None
        self.was_run()

    def was_run(self) -> None:
        """To be called when gunicorn has run it."""
        self._ran = self._looked_at = self._read()

    def _read(self) -> bytes | None:
        try:
            return self.path.read_bytes() if self.path is not None else None
        except OSError:
            return None

    def look(self) -> Changes | None:
        """What is new since the last look; None where it is as it was.

        Raises:
            SyntaxError, ValueError: It can't be parsed.
            OSError: It can't be read.
        """
        if self.path is None or self._ran is None:
            return None
        text = self.path.read_bytes()
        before, self._looked_at = self._looked_at, text
        return compare(self._ran, before or b"", text) if text != before else None


def compare(ran: bytes, before: bytes, now: bytes) -> Changes:
    """What was run, what was looked at before, and what is there now; nothing of them is run here.

    Raises:
        SyntaxError, ValueError: The text that is there now is no Python.
    """
    first, last = _statements(ran), _statements(now)
    names = {name for name in {**first, **last} if first.get(name) != last.get(name)}
    if _number(now):
        names.discard("workers")
    elif _number(before):  # which was taken over, and is no longer what the file says
        names.add("workers")
    workers = _number(now) if _number(now) != _number(before) else None
    return Changes(workers, tuple(sorted(names, key=lambda name: (name == _OTHER, name))))


def _statements(text: bytes) -> dict[str, list[str]]:
    """By each name, what is done with it at the top of the file."""
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
    """What `workers` is set to, if by one plain statement, to a number of workers that can serve."""
    try:
        found = [statement for statement in ast.parse(text).body if "workers" in _names(statement)]
    except (SyntaxError, ValueError):  # what was there before; what is there now has been parsed
        return None
    if len(found) == 1 and isinstance(found[0], ast.Assign) and isinstance(found[0].value, ast.Constant):
        value = found[0].value.value
        if type(value) is int and value > 0:
            return value
    return None


def is_said_elsewhere(cfg: Any) -> bool:
    """Whether the command line or GUNICORN_CMD_ARGS says how many workers there are, which the conf file can't."""
    parser = cfg.parser()
    try:
        said = parser.parse_args(), parser.parse_args(cfg.get_cmd_args_from_env())
    except SystemExit:  # a program of its own, with arguments of its own
        return True
    return any(arguments.workers is not None for arguments in said)
