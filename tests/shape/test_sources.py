"""A new source is one file and its test: what else it needs is named here when it was forgotten."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import confcast
from tests.shape.source import ROOT, File, files

TESTS = ROOT / "tests" / "unit" / "config" / "sources"
DOCUMENTATION = [ROOT / "README.md", *sorted((ROOT / "src" / "confcast" / "guide").glob("*.md"))]


def sources() -> Iterator[tuple[str, str]]:
    """The name of each class of `config/sources` that has a `read()`, and that of its file; not the protocol's."""
    for file in files():
        if file.module.startswith("confcast.config.sources."):
            yield from ((name, file.path.stem) for name in _with_read(file))


def _with_read(file: File) -> Iterator[str]:
    for node in file.tree.body:
        if isinstance(node, ast.ClassDef) and "Protocol" not in map(ast.unparse, node.bases):
            yield from (node.name for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "read")


def forgotten(name: str, stem: str) -> Iterator[str]:
    if not (TESTS / f"test_{stem}.py").is_file():
        yield f"{name}: a test, tests/unit/config/sources/test_{stem}.py"
    if name not in confcast.__all__:
        yield f"{name}: a public name, in confcast, tests/shape/test_public_names.py and tests/typing/api.py"
    if not any(re.search(rf"`{name}`|\b{name}\(", page.read_text(encoding="utf-8")) for page in DOCUMENTATION):
        yield f"{name}: a line with `{name}` in README.md or in a page of src/confcast/guide"


def test_nothing_is_forgotten_of_a_source():
    found = [each for name, stem in sources() for each in forgotten(name, stem)]
    assert not found, "\n".join(found)


def test_what_is_forgotten_is_named():
    assert {"Environment", "File"} <= {name for name, _ in sources()}
    assert [each.split(",")[0] for each in forgotten("Vault", "vault")] == [
        "Vault: a test",
        "Vault: a public name",
        "Vault: a line with `Vault` in README.md or in a page of src/confcast/guide",
    ]
