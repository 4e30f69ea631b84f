"""KEY=VALUE on a command line."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import pytest

from confcast.cli.arguments import assignment, assignments, on_the_command_line
from confcast.wire.messages import MAX_REQUEST


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
        ("a=@", "a: give the file's name behind the @, or - for standard input"),
    ],
)
def test_a_mistake_is_said_without_the_value(word: str, message: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=f"^{message}") as caught:
        assignment(word)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("where", ["@-", "@{file}"])
def test_no_more_is_read_than_a_request_carries(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "x" * (3 * MAX_REQUEST)
    (file := tmp_path / "log").write_text(text)
    monkeypatch.setattr("sys.stdin", pipe := io.StringIO(text))
    with pytest.raises(argparse.ArgumentTypeError, match=r"is larger than 1 MiB, the most to set$"):
        assignment(f"a={where.format(file=file)}")
    assert pipe.tell() <= MAX_REQUEST + 1


def test_a_device_that_has_no_end_is_not_read_for_ever() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="a: /dev/zero is larger than 1 MiB"):
        assignment("a=@/dev/zero")


def test_a_standard_input_that_is_closed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)  # as Python has it when the descriptor is closed
    with pytest.raises(argparse.ArgumentTypeError, match=r"^a: standard input can't be read: it is closed$"):
        assignment("a=@-")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a=1", "b=2", "a=hunter2"], "^a is given twice: leave one of its values out$"),
        (["a=1", "a=1"], "^a is given twice"),
        (["user=@-", "password=@-"], "^user and password: standard input can be read for one key only$"),
    ],
)
def test_of_two_words_of_which_one_would_not_count_none_does(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", pipe := io.StringIO("me"))
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        assignments(words)
    assert pipe.read() == "me"


def test_words_of_several_keys_are_taken_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("hunter2\n"))
    assert assignments(iter(["a=1", "b=@-", "c="])) == {"a": "1", "b": "hunter2", "c": ""}
    assert assignments([]) == {}


def test_which_values_others_may_read() -> None:
    words = ["a=1", "b=@-", "c=@@x", "d=", 'e."f=g"=x', "h=@/srv/secret"]
    assert on_the_command_line(words) == {"a", "c", 'e."f=g"'}
