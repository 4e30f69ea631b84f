"""KEY=VALUE on a command line."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import pytest

from confcast.cli.arguments import assignment, on_the_command_line


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
    assert assignment(word) == (key, text)


@pytest.mark.parametrize(("content", "text"), [("hunter2\n", "hunter2"), ("a\nb\r\n", "a\nb"), ("", "")])
def test_a_text_may_come_from_a_file_or_standard_input(
    content: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content.encode())
    monkeypatch.setattr("sys.stdin", io.StringIO(content, newline=""))
    assert assignment(f"a=@{file}") == ("a", text)
    assert assignment("b=@-") == ("b", text)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("a", "give KEY=VALUE, KEY=@FILE or KEY=@- "),
        ("=hunter2", "give KEY=VALUE, "),
        ("a=@/none", "a: /none can't be read: No such file or directory"),
    ],
)
def test_a_mistake_is_said_without_the_value(word: str, message: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"^{message}") as caught:
        assignment(word)
    assert "hunter2" not in str(caught.value)


def test_which_values_others_may_read() -> None:
    words = ["a=1", "b=@-", "c=@@x", "d=", 'e."f=g"=x', "h=@/srv/secret"]
    assert on_the_command_line(words) == {"a", "c", 'e."f=g"'}
