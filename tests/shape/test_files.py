"""How a file looks: it says what it is for, is not long, and leaves the logging to the program."""

from __future__ import annotations

import ast

import pytest

from tests.shape.source import ROOT, File, files, functions

MOST_LINES = 600  # one idea a file: a limit of 400 had drawn walls where no idea ends
ONE_IDEA = {"owner/core.py": 700}  # a state machine is read whole: its table, and a handler for each cell
LONGEST_FUNCTION = 60
PROGRAMS = ("owner/__main__.py", "cli/", "examples/", "servers/gunicorn_log.py")  # the last: into the server's own log
CONFIGURES_LOGGING = {"basicConfig", "dictConfig", "fileConfig", "addHandler", "removeHandler", "setLevel", "disable"}


@pytest.mark.parametrize("file", files(), ids=str)
def test_it_opens_with_what_it_is_for(file: File):
    assert (ast.get_docstring(file.tree) or "").strip()


@pytest.mark.parametrize("folder", ["tests", "benchmarks"])
def test_so_does_every_file_around_the_package(folder: str):
    silent = [
        str(path.relative_to(ROOT))
        for path in (ROOT / folder).rglob("*.py")
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


@pytest.mark.parametrize("file", files(), ids=str)
def test_it_is_not_long(file: File):
    assert file.lines <= ONE_IDEA.get(str(file), MOST_LINES)


@pytest.mark.parametrize("file", files(), ids=str)
def test_its_functions_are_not_long(file: File):
    long = [f"{node.name} at {node.lineno}" for node in functions(file) if _lines(node) > LONGEST_FUNCTION]
    assert long == []


@pytest.mark.parametrize("file", [file for file in files() if not str(file).startswith(PROGRAMS)], ids=str)
def test_a_library_does_not_configure_logging(file: File):
    calls = [node for node in ast.walk(file.tree) if isinstance(node, ast.Call)]
    found = [call.lineno for call in calls if isinstance(call.func, ast.Attribute) and _configures(call)]
    assert found == []


@pytest.mark.parametrize("file", files(), ids=str)
def test_no_failure_is_swallowed(file: File):
    """No bare `except:`, and nobody catches everything to do nothing."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{file}:{node.lineno}: a bare except"
            catches_all = isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
            silent = all(isinstance(each, ast.Pass | ast.Continue) for each in node.body)
            assert not (catches_all and silent), f"{file}:{node.lineno}: everything is swallowed"


@pytest.mark.parametrize("file", files(), ids=str)
def test_nothing_is_left_for_later(file: File):
    text = file.path.read_text(encoding="utf-8")
    found = [word for word in ("TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error") if word in text]
    assert found == []


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Without its docstring: that a long list of arguments is explained is no fault."""
    assert node.end_lineno is not None
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    explained = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return node.end_lineno - node.lineno + 1 - explained


def _configures(call: ast.Call) -> bool:
    """`setLevel`, … of whatever; `disable` only of logging."""
    assert isinstance(call.func, ast.Attribute)
    of_logging = isinstance(call.func.value, ast.Name) and call.func.value.id == "logging"
    return call.func.attr in CONFIGURES_LOGGING and (of_logging or call.func.attr != "disable")
