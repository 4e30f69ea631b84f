"""How a file looks: it says what it is for, is not long, and leaves the logging to the program."""

from __future__ import annotations

import ast
import re

import pytest

from tests.shape.source import ROOT, files, functions, imports

MOST_LINES = 600  # one idea a file: a limit of 400 had drawn walls where no idea ends
TOO_SMALL = 40  # a shorter file that one other file alone uses is a part of it
LONGEST_FUNCTION = 60
# The last two: into the server's own log, and what the application asks for.
PROGRAMS = ("owner/__main__.py", "cli/", "examples/", "servers/gunicorn/log.py", "logging.py")
_AS_GIVEN = ROOT / "tests" / "typing" / "contract"  # programs that are not changed
_DOCSTRING = re.compile(r'(#.*\n|\n)*+r?"""\s*[^\s"]')  # of a file that nothing else here parses
CONFIGURES_LOGGING = {"basicConfig", "dictConfig", "fileConfig", "addHandler", "removeHandler", "setLevel", "disable"}


def test_a_file_opens_with_what_it_is_for():
    found = [str(file) for file in files() if not (ast.get_docstring(file.tree) or "").strip()]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("folder", ["tests", "benchmarks"])
def test_so_does_every_file_around_the_package(folder: str):
    found = [
        str(path.relative_to(ROOT))
        for path in (ROOT / folder).rglob("*.py")
        if path.parent != _AS_GIVEN and not _DOCSTRING.match(path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


def test_no_file_is_long():
    found = [str(file) for file in files() if file.lines > MOST_LINES]
    assert not found, "\n".join(found)


def test_no_small_file_serves_one_other_alone():
    users: dict[str, set[str]] = {}
    for file in files():
        for each in imports(file) if file.module != "confcast" else ():  # the facade exports: it uses nothing
            users.setdefault(each.module, set()).add(file.module)
    package = [file for file in files() if file.path.stem not in ("__init__", "__main__", "entry")]
    small = [file for file in package if file.lines < TOO_SMALL and not str(file).startswith("examples/")]
    found = [str(file) for file in small if len(users.get(file.module, ())) == 1]
    assert not found, "\n".join(found)


def test_no_function_is_long():
    found = [f"{file}:{node.lineno}" for file in files() for node in functions(file) if _lines(node) > LONGEST_FUNCTION]
    assert not found, "\n".join(found)


def test_a_library_does_not_configure_logging():
    quiet = [file for file in files() if not str(file).startswith(PROGRAMS)]
    calls = [(file, node) for file in quiet for node in ast.walk(file.tree) if isinstance(node, ast.Call)]
    found = [f"{file}:{call.lineno}" for file, call in calls if _configures(call)]
    assert not found, "\n".join(found)


def test_no_failure_is_swallowed():
    """No bare `except:`, and nobody catches everything to do nothing."""
    handlers = [(file, node) for file in files() for node in ast.walk(file.tree) if isinstance(node, ast.ExceptHandler)]
    found = [f"{file}:{node.lineno}" for file, node in handlers if node.type is None or _swallows(node)]
    assert not found, "\n".join(found)


def test_an_assert_says_what_is_known_and_does_nothing():
    """`python -O` leaves asserts out, with all that is done and checked in them."""
    asserts = [(file, node) for file in files() for node in ast.walk(file.tree) if isinstance(node, ast.Assert)]
    found = [f"{file}:{node.lineno}" for file, node in asserts if not _is_of_types(node.test)]
    assert not found, "\n".join(found)


def test_nothing_is_left_for_later():
    words = ("TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error")
    texts = [(file, file.path.read_text(encoding="utf-8")) for file in files()]
    found = [f"{file}: {word}" for file, text in texts for word in words if word in text]
    assert not found, "\n".join(found)


def _is_of_types(node: ast.expr) -> bool:
    """Whether it is `isinstance(x, …)`, the opposite, or `x is not None`: what a type checker can't see."""
    if isinstance(node, ast.UnaryOp):
        return _is_of_types(node.operand)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "isinstance" and not _does_something(node.args[0])
    is_none = isinstance(node, ast.Compare) and ast.unparse(node).endswith(" is not None")
    return is_none and not _does_something(node)


def _does_something(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Call | ast.NamedExpr | ast.Await) for each in ast.walk(node))


def _swallows(node: ast.ExceptHandler) -> bool:
    catches_all = isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException")
    return catches_all and all(isinstance(each, ast.Pass | ast.Continue) for each in node.body)


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Without its docstring: that a long list of arguments is explained is no fault."""
    assert node.end_lineno is not None
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    explained = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return node.end_lineno - node.lineno + 1 - explained


def _configures(call: ast.Call) -> bool:
    """`setLevel`, … of whatever; `disable` only of logging."""
    if not isinstance(call.func, ast.Attribute):
        return False
    of_logging = isinstance(call.func.value, ast.Name) and call.func.value.id == "logging"
    return call.func.attr in CONFIGURES_LOGGING and (of_logging or call.func.attr != "disable")
