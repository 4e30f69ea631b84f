"""Webhooks on a command line: a file for each URL, in their order; a secret is no argument."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcast import Webhook
from confcast.servers.common import launching

A, B = "https://ops.example/a", "https://ops.example/b"
A_FILE, B_FILE = "--webhook-secret-file=/a", "--webhook-secret-file=/b"


def taken(*words: str) -> object:
    return launching.parse("uvicorn", ["--loader", "a:b", *words]).options.get("webhooks")


def test_each_url_has_the_file_in_its_place() -> None:
    assert taken() is None
    assert taken("--webhook", A, A_FILE) == [Webhook(A, Path("/a"))]
    both = taken("--webhook", A, A_FILE, "--webhook", B, B_FILE, "--webhook-on", "undone,refused")
    assert both == [Webhook(A, Path("/a"), on=["refused", "undone"]), Webhook(B, Path("/b"), on=["refused", "undone"])]
    each = taken("--webhook", A, "--webhook", B, A_FILE, B_FILE, "--webhook-on", "held", "--webhook-on", "settled")
    assert each == [Webhook(A, Path("/a"), on=["held"]), Webhook(B, Path("/b"), on=["settled"])]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--webhook", A], "--webhook-secret-file FILE is expected once for each --webhook URL: there are 0 for 1"),
        ([A_FILE], "there are 1 for 0"),
        (["--webhook", A, A_FILE, B_FILE], "there are 2 for 1"),
        (["--webhook-on", "held"], "--webhook-on EVENTS is expected once for all, or once for each"),
        (["--webhook", A, A_FILE, "--webhook-on", "helt"], "--webhook-on: 'helt' is no event"),
        (
            ["--webhook", A, A_FILE, "--webhook", "ops.example", B_FILE],
            "--webhook 2: url: a URL that begins with",
        ),
        (["--webhook", "http://h:99999/hunter2", A_FILE], "without blanks, and a port below 65536"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as found:
        taken(*words)
    assert found.value.code == 2
    said = capsys.readouterr().err
    assert why in said
    assert "hunter2" not in said
