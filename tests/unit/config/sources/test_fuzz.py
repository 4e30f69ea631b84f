"""Whatever bytes a file has: a layer whose every value has a place, or a ConfigError with a place in the file.

The examples are the same in every run (a new one that fails would be a defect, and no reason for an unrelated change
to fail); `FUZZ=100000 pytest tests/unit/config/sources/test_fuzz.py` looks for new ones.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from confcast import ConfigError, ConfigLoader, Environment, File, Problem

T = TypeVar("T")

EXAMPLES = int(os.environ.get("FUZZ", "150"))
fuzzed = settings(
    deadline=None,
    derandomize="FUZZ" not in os.environ,
    database=None,
    max_examples=EXAMPLES,
    suppress_health_check=list(HealthCheck),
)

TOKENS = {
    "toml": [
        *("a", "b.c", "'d e'", '"f\\u0041"', " = ", "=", ".", ",", "[", "]", "[[", "]]", "{", "}", "\n", "\r\n", "# x"),
        *('"""', "'''", '"', "'", "\\", "\\n", "\\ud800", "1", "-0", "1_0", "0x1F", "1e5", "inf", "nan", "true", "é"),
        *("2024-01-02", "T12:30:00Z", "12:30:00.5", "1979-13-01", "\t", " ", "\x00", "\x7f", "\ufeff"),
        *("[a]\n", "[[a.b]]\n", "a = 1\n"),
    ],
    "json": [
        *(
            '{"a": ',
            '"b": ',
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            '"',
            "\\",
            '"x"',
            "1",
            "-",
            "1.5e400",
            "0.1",
            "true",
            "null",
        ),
        *("NaN", "-Infinity", " ", "\n", "\\ud83d", "\\ude00", '"\\u0041"', "\x00", "\t", "é", "\ufeff", "//", "'"),
    ],
    "yaml": [
        *(
            "a: ",
            "- ",
            "? ",
            ": ",
            "\n",
            "\n  ",
            "\n    ",
            "{",
            "}",
            "[",
            "]",
            ", ",
            "&x ",
            "*x",
            "*y ",
            "<<: ",
            "|",
            ">-",
        ),
        *(
            "!!str ",
            "!!int ",
            "!!float ",
            "!!timestamp ",
            "!!binary ",
            "!!set ",
            "!own ",
            "#",
            "'",
            '"',
            "\\",
            "=",
            "@",
        ),
        *("---\n", "...\n", "%YAML 1.1\n", "no", "~", "1", "010", "1:30", "1:30.5", ".nan", ".inf", "0x", "é", "`"),
        *("2024-01-02", "2024-99-99 1:1:1", "\t", "\x00", "\x85", "\u2028", "\r", "\ufeff"),
    ],
    "ini": [
        *("[a]\n", "[b]\n", "[DEFAULT]\n", "[d]\n", "[a.b]\n", "[a:tree]\n", "[", "]", "[]", "[é]\n", "a", "number"),
        *("text", "TREE", "x", " = ", "=", ":", "\n", "\r\n", "\n  ", "\n\t", "\r", "# c", ";", "1", "null", "[1, 2]"),
        *('{"a": 1}', "a, b", "%(x)s", "%(number)s", "%%", "%", "%(", '"', "\x00", "\x0c", "\x85", "\u2028", "\ufeff"),
        *("number = 1\n", "x = %(text)s\n", "text = y\n", "  z\n", "X=2\n"),
    ],
}
TOKENS["jsonc"] = [*TOKENS["json"], "/* ", "*/", "// x\n", "/*", ",]", ",}", "/", "*"]
FORMS = ["toml", "json", "yaml", "jsonc", "ini"]
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "ini": [{}, {"nested": True}, {"interpolate": True}, {"nested": True, "interpolate": True, "table": "a"}],
}
"""With which options a file of each form is read, too."""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        yield Path(name)


def soup(form: str) -> st.SearchStrategy[bytes]:
    """Pieces of the format in any order, sometimes with bytes that are nobody's."""
    pieces = st.lists(st.sampled_from(TOKENS[form]), max_size=25).map(lambda found: "".join(found).encode())
    return st.one_of(st.binary(max_size=60), pieces, pieces, st.tuples(pieces, st.binary(max_size=3)).map(b"".join))


def paths(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in inside:
        yield (*path, key)
        yield from paths(value, (*path, key))


def is_in(location: str, name: str, content: bytes) -> bool:
    """Whether a location is that of the file, or of a line and column of it, or just behind."""
    if location == name:
        return True
    found = re.fullmatch(rf"{re.escape(name)}:(\d+):(\d+)", location)
    if found is None:
        return False
    lines = re.split("\r\n|[\n\r\x85\u2028\u2029]", content.decode("utf-8-sig", errors="replace"))
    line, column = int(found[1]), int(found[2])
    longest = max(map(len, content.decode("utf-8-sig", errors="replace").split("\n")))
    return 1 <= line <= len(lines) + 1 and 1 <= column <= longest + 1


def outcome(read: Callable[[], T]) -> tuple[T | None, list[Problem]]:
    """What it gives, or the problems that it raises. Whatever else it raises is the test's failure."""
    try:
        return read(), []
    except ConfigError as error:
        assert error.problems  # noqa: PT017
        return None, error.problems


def check(path: Path, content: bytes, options: dict[str, Any]) -> None:
    path.write_bytes(content)
    name = str(path)
    layer, problems = outcome(File(name, **options).read)
    assert [problem for problem in problems if not is_in(problem.location, name, content)] == []
    if layer is None:
        assert len(problems) == 1
        return
    for where in paths(layer.data):
        assert is_in(layer.where(where), name, content), where
        assert is_in(layer.where(where, key=True), name, content), where
        assert all(isinstance(advice, str) for advice in layer.note(where))


@pytest.mark.parametrize("form", FORMS)
def test_any_bytes_are_a_layer_or_a_config_error(form, folder):
    @fuzzed
    @given(soup(form))
    def run(content: bytes) -> None:
        for options in OPTIONS.get(form, [{}]):
            check(folder / f"app.{form}", content, options)

    run()


class Inner(BaseModel):
    number: int = 1
    text: str | None = None
    tree: dict[str, Any] = {}


class Outer(BaseModel):
    a: Inner = Inner()
    b: list[Inner] = []
    d: dict[str, str] = {}
    x: str = ""


@pytest.mark.parametrize(
    ("form", "options"), [(form, options) for form in FORMS for options in OPTIONS.get(form, [{}])], ids=str
)
def test_what_a_loader_makes_of_any_bytes_is_a_candidate_or_a_config_error(form, options, folder):
    path = folder / f"loaded.{form}"
    loader = ConfigLoader(Outer, File(path, allow_empty=True, **options))

    @fuzzed
    @given(soup(form))
    def run(content: bytes) -> None:
        path.write_bytes(content)
        candidate, problems = outcome(loader.load)
        assert [problem for problem in problems if not is_in(problem.location, str(path), content)] == []
        if candidate is not None:
            assert loader._codec.decode(candidate.payload) == candidate.config

    run()


def test_any_variables_are_a_candidate_or_a_config_error(monkeypatch):
    names = st.lists(st.sampled_from(["A", "b", "D", "X", "NUMBER", "text", "TREE", "__", "_", "Z", "é"]), max_size=5)
    texts = st.one_of(
        st.binary(max_size=20).filter(lambda text: b"\0" not in text),
        st.lists(st.sampled_from([each for each in TOKENS["json"] if each != "\x00"]), max_size=12).map(
            lambda found: "".join(found).encode()
        ),
    )
    loader = ConfigLoader(Outer, Environment("FUZZED_"))

    @fuzzed
    @given(st.dictionaries(names.map("".join), texts, max_size=4))
    def run(variables: dict[str, bytes]) -> None:
        with monkeypatch.context() as patch:
            for name, text in variables.items():
                patch.setitem(os.environb, b"FUZZED_" + name.encode(), text)
            _, problems = outcome(loader.load)
            assert [each for each in problems if not each.location.startswith("environment ")] == []

    run()
