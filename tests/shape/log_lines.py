"""Every line that the package logs, as its source has it: the event, its fields, its level and its logger."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

from tests.shape.source import File, files

LEVELS = ("debug", "info", "warning", "error", "exception", "critical", "log")
RECORD = "makeRecord"  # its arguments: the name, the level, the file, the line, the text
SERVERS_OWN = "the server's"
LONGEST_TEXT = 90

# What a text that is all values is about.
MEANT = {
    "address_lost": "the lasting address can't be put back",
    "backlog_low": "the kernel's limit of connections that wait is below the number of hosts",
    "certificate_renewed": "new connections get the renewed TLS certificate",
    "confirm_awaited": "until when the version must be confirmed",
    "core_transition": "a step of the owner's state machine",
    "core_warning": "what the owner's state machine has found",
    "fallback_impossible": "a version that would be put back can't be",
    "journal_moved": "the journal lies in the state folder from now on",
    "journal_not_moved": "the journal can't move into the state folder, or out of it, yet",
    "last_known_unreadable": "what a source gave last, before this start, is not known",
    "not_started": "why gunicorn does not start",
    "peer_refused": "a process at the owner's socket is refused; once for each process and reason",
    "reload_note": "an edit that a higher source hides, and the like",
    "reload_problem": "one problem of the event before",
    "serve_refused": "why `confcast serve` serves nothing",
    "source_warning": "what a source warns of",
    "starts_on_refused_version": "a worker starts on a version that other workers refuse",
    "watch_warning": "what can't be watched, or read, meanwhile",
}


class Line(NamedTuple):
    """One call of a logger. `event` is empty if it has no `extra=about(…)`; `level` is "…" if it depends."""

    place: str
    event: str
    fields: tuple[str, ...]
    level: str
    logger: str
    text: str


@functools.cache
def lines() -> list[Line]:
    """All of them, but those of the examples."""
    return [line for file in files() if not str(file).startswith("examples/") for line in _lines(file)]


def _lines(file: File) -> Iterator[Line]:
    functions = {node.name: node for node in ast.walk(file.tree) if isinstance(node, ast.FunctionDef)}
    for scope in _functions_in(file.tree):
        inner = {id(each) for node in _functions_in(scope) for each in ast.walk(node)}
        for node in ast.walk(scope):
            if id(node) not in inner and isinstance(node, ast.Call) and (call := _logs(node)) is not None:
                event, fields = _about(call, scope, functions)
                level = {"exception": "error", "log": "…"}.get(_method(call), _method(call))
                if level == RECORD:
                    level = ast.unparse(call.args[1]).removeprefix("logging.").lower()
                said = _text(call, scope, {"log": 1, RECORD: 4}.get(_method(call), 0))
                yield Line(f"{file}:{node.lineno}", event, fields, level, _logger(file, call), said)


def _text(call: ast.Call, scope: ast.AST, place: int) -> str:
    text = call.args[place] if len(call.args) > place else None
    if isinstance(text, ast.Name):
        text = _assigned(text, call, scope)
    if isinstance(text, ast.BinOp):
        text = (
            text.left
            if isinstance(text.left, ast.Constant)
            else _assigned(ast.Name(ast.unparse(text.left)), call, scope)
        )
    return str(text.value) if isinstance(text, ast.Constant) else ""


def _functions_in(scope: ast.AST) -> list[ast.AST]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(scope) if isinstance(node, kinds) and node is not scope]


def is_of_a_logger(node: ast.Call) -> bool:
    """Whether this call logs, or will."""
    return _logs(node) is not None


def _logs(node: ast.Call) -> ast.Call | None:
    """The call that logs: this one, or the one that `partial(_log.debug, …)` will make."""
    first = node.args[0] if node.args else None
    if isinstance(first, ast.Attribute) and _is_logger(first) and ast.unparse(node.func).endswith("partial"):
        return ast.copy_location(ast.Call(func=first, args=node.args[1:], keywords=node.keywords), node)
    return node if isinstance(node.func, ast.Attribute) and _is_logger(node.func) else None


def _is_logger(function: ast.Attribute) -> bool:
    return function.attr in (*LEVELS, RECORD) and ast.unparse(function.value).split(".")[-1] in ("log", "_log")


def _method(call: ast.Call) -> str:
    assert isinstance(call.func, ast.Attribute)
    return call.func.attr


def _about(call: ast.Call, scope: ast.AST, functions: dict[str, ast.FunctionDef]) -> tuple[str, tuple[str, ...]]:
    given = next((each.value for each in call.keywords if each.arg == "extra"), None)
    if isinstance(given, ast.Name):
        given = _assigned(given, call, scope)
    if not isinstance(given, ast.Call) or not isinstance(given.func, ast.Name):
        return "", ()
    first = next((arg.value for arg in given.args if isinstance(arg, ast.Constant)), "")
    made = functions.get(given.func.id)
    if made is not None:
        given = next(n for n in ast.walk(made) if isinstance(n, ast.Call) and ast.unparse(n.func) == "about")
        first = first or next((arg.value for arg in given.args if isinstance(arg, ast.Constant)), "")
    elif given.func.id != "about":
        return "", ()
    return str(first), tuple(each.arg for each in given.keywords if each.arg is not None)


def _assigned(name: ast.Name, call: ast.Call, scope: ast.AST) -> ast.expr | None:
    """What this name stands for at the call: what was assigned to it last, as the text runs."""
    found = [n for n in ast.walk(scope) if isinstance(n, ast.Assign) and _names(n) == name.id]
    before = [node for node in found if node.lineno < call.lineno]
    return max(before, key=lambda node: node.lineno).value if before else None


def _names(node: ast.Assign) -> str:
    return ast.unparse(node.targets[0])


def _logger(file: File, call: ast.Call) -> str:
    assert isinstance(call.func, ast.Attribute)
    named = ast.unparse(call.func.value)
    for node in file.tree.body:
        if isinstance(node, ast.Assign) and _names(node) == named and isinstance(node.value, ast.Call):
            name = node.value.args[0]
            assert isinstance(name, ast.Constant)
            return f"`{name.value}`" if str(name.value).startswith("confcast") else SERVERS_OWN
    return SERVERS_OWN


# ---- the table of the guide


def rows() -> list[str]:
    """The table's rows, one for each event."""
    found = lines()
    return [_row(event, [each for each in found if each.event == event]) for event in sorted({e.event for e in found})]


def _row(event: str, mine: list[Line]) -> str:
    fields = dict.fromkeys(f"`config_{field}`" for each in mine for field in each.fields)
    levels = sorted({each.level for each in mine}, key=[*LEVELS, "…"].index)
    loggers = sorted({each.logger for each in mine})
    text = next((told for each in mine if (told := _told(each.text)).strip("…: ")), "") or f"*{MEANT[event]}*"
    return f"| `{event}` | {', '.join(levels)} | {', '.join(loggers)} | {', '.join(fields)} | {text} |"


def _told(text: str) -> str:
    """The text of a line, with an ellipsis for each value; its beginning, if it is long."""
    told = re.sub(r"%(\.\d+)?[a-z]", "…", text.removeprefix("confcast: ")).replace("|", "\\|").replace("\n", " ")
    return told if len(told) <= LONGEST_TEXT else told[: told.rfind(" ", 0, LONGEST_TEXT)] + " …"
