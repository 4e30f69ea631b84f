"""The package's files, parsed: what each imports, and how long it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src"


class Import(NamedTuple):
    """One imported module or name.

    Attributes:
        module: The module by its place in the tree: `from confcast.wire import framing` is `confcast.wire.framing`.
        name: What is taken from it; empty for the module itself.
        line: Where.
        lazy: Whether it stands in a function, so that importing the file does not import this.
        typing: Whether only the type checker sees it.
    """

    module: str
    name: str
    line: int
    lazy: bool
    typing: bool


class File(NamedTuple):
    """One file of the package."""

    path: Path
    module: str
    tree: ast.Module
    lines: int

    def __str__(self) -> str:
        return str(self.path.relative_to(SRC / "confcast"))


@cache
def files() -> tuple[File, ...]:
    """Every Python file of the package."""
    return tuple(map(_parsed, sorted((SRC / "confcast").rglob("*.py"))))


@cache
def imports(file: File) -> tuple[Import, ...]:
    """All that it imports, wherever it stands."""
    return tuple(_imports(file.tree.body, file.module, lazy=False, typing=False))


def module_named(name: str) -> File | None:
    """The file of a module of the package."""
    return {file.module: file for file in files()}.get(name)


def servers() -> list[str]:
    """The server of each package under servers/."""
    inits = (SRC / "confcast" / "servers").glob("*/__init__.py")
    return sorted({init.parent.name for init in inits} - {"common"})


def functions(file: File) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method."""
    for node in ast.walk(file.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _parsed(path: Path) -> File:
    text = path.read_text(encoding="utf-8")
    parts = path.relative_to(SRC).with_suffix("").parts
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return File(path, module, ast.parse(text, str(path)), len(text.splitlines()))


def _imports(body: list[ast.stmt], module: str, *, lazy: bool, typing: bool) -> Iterator[Import]:
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, "", node.lineno, lazy, typing)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: a relative import"
            assert node.module
            for alias in node.names:
                yield _taken(node.module, alias.name, node.lineno, lazy, typing)
        else:
            inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for field, value in ast.iter_fields(node):
                checked = typing or (field == "body" and isinstance(node, ast.If) and _is_type_checking(node.test))
                yield from _imports(_statements(value), module, lazy=inside, typing=checked)


def _taken(module: str, name: str, line: int, lazy: bool, typing: bool) -> Import:
    place = SRC.joinpath(*module.split("."), name)
    if place.is_dir() or place.with_suffix(".py").is_file():
        return Import(f"{module}.{name}", "", line, lazy, typing)
    return Import(module, name, line, lazy, typing)


def _statements(value: object) -> list[ast.stmt]:
    """The blocks of a compound statement, its handlers and its cases."""
    if not isinstance(value, list):
        return []
    nested = [item.body for item in value if isinstance(item, ast.excepthandler | ast.match_case)]
    return [item for item in value if isinstance(item, ast.stmt)] + [node for body in nested for node in body]


def _is_type_checking(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"
