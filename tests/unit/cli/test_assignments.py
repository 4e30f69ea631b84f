"""KEY=VALUE on a command line."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from confcast.cli.assignments import assignments


@pytest.mark.parametrize(
    ("word", "key", "text"),
    [
        ("a.b=1", "a.b", "1"),
        ("a=", "a", ""),
        ("a=b=c", "a", "b=c"),
        ('levels."a=b"=x', 'levels."a=b"', "x"),
        ("a=@@x", "a", "@x"),
        ("a= @x", "a", " @x"),
    ],
)
def test_a_word_is_a_key_and_a_text(word: str, key: str, text: str) -> None:
    assert assignments([word]) == {key: text}


@pytest.mark.parametrize(("content", "text"), [("hunter2\n", "hunter2"), ("a\nb\r\n", "a\nb"), ("", "")])
def test_a_text_may_come_from_a_file_or_standard_input(
    content: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content.encode())
    monkeypatch.setattr("sys.stdin", io.StringIO(content, newline=""))
    assert assignments([f"a=@{file}", "b=@-"]) == {"a": text, "b": text}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a"], "'a' is no assignment: write KEY=VALUE, KEY=@FILE, or KEY=@- for standard input"),
        (["=hunter2"], "'' is no assignment"),
        (["a=hunter2", "a=hunter2"], "a is set twice: leave one out"),
        (["a=@/none"], "the value of a can't be read from '/none': No such file or directory"),
    ],
)
def test_a_mistake_is_said_without_the_value(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        assignments(words)
    assert "hunter2" not in str(caught.value)
