"""The recipe for a source of one's own: it is short, loads, says where it is wrong, and is the one of the guide."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from confcast import ConfigError, ConfigLoader, Environment
from confcast.examples.recipes.own_source import Properties, Settings
from tests.support.snippets import GUIDE, files

TEXT = "# of the search service\nname = search\n\ntotal= 512 \n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "app.properties"
    path.write_text(TEXT)
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Settings, Properties(str(path))).load()
    return [str(problem) for problem in caught.value.problems]


def statements(text: str) -> list[str]:
    """The lines of the class, without its texts."""
    (node,) = (
        each for each in ast.walk(ast.parse(text)) if isinstance(each, ast.ClassDef) and each.name == "Properties"
    )
    for each in ast.walk(node):
        if isinstance(each, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(each):
            each.body = each.body[1:]
    return ast.unparse(node).replace("\n\n", "\n").splitlines()


def test_it_has_ten_lines_at_the_most_and_is_the_guide_s():
    here = statements(inspect.getsource(inspect.getmodule(Properties)))  # type: ignore[arg-type]
    assert len(here) <= 10
    assert here == statements(files(GUIDE / "own_sources.md")["properties.py"])


def test_its_values_have_their_places_and_later_sources_override_them(file: Path, monkeypatch: pytest.MonkeyPatch):
    loader = ConfigLoader(Settings, Properties(str(file)), Environment("APP_"))
    candidate = loader.load()
    assert candidate.config == Settings(name="search", total=512)
    assert (candidate.origin_of("name"), candidate.origin_of("total")) == (f"{file}:2", f"{file}:4")
    monkeypatch.setenv("APP_TOTAL", "7")
    assert loader.load().config == Settings(name="search", total=7)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("total = hunter2\n", ":1: total: Input should be a valid integer"),
        ("name = x\nhunter2\n", "Properties.read() raised ValueError: not enough values to unpack"),
        (None, "Properties.read() raised FileNotFoundError: "),
        (b"name = \xff", "Properties.read() raised UnicodeDecodeError: "),
    ],
)
def test_what_is_wrong_is_an_error_and_not_a_configuration_of_defaults(file: Path, text: str | bytes | None, told: str):
    file.unlink() if text is None else file.write_bytes(text if isinstance(text, bytes) else text.encode())
    (found,) = problems(file)
    assert found.startswith(f"{file}{told}" if told[0] == ":" else told)
