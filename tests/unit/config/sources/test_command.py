"""What a program prints as a source: what is refused, in which words, and what is never shown; with real programs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from confcast import Command, ConfigError, ConfigLoader, Problem
from confcast.config.sources import polled
from confcast.config.sources.file import FORMATS
from confcast.config.sources.formats import common

SCHEMA = "tests.support.number:Settings"


def shell(script: str, **options: Any) -> Command:
    return Command(["/bin/sh", "-c", script], **options)


def problem(source: Command) -> Problem:
    with pytest.raises(ConfigError) as raised:
        source.read()
    return raised.value.problems[0]


def test_its_output_is_a_document_with_positions() -> None:
    layer = shell("printf 'number = 1\\n[table]\\nkey = 2\\n'").read()
    assert layer.data == {"number": 1, "table": {"key": 2}}
    assert layer.where(("table", "key")) == "/bin/sh …:3:7"
    assert shell("echo '{\"number\": 3}'", format="json").read().data == {"number": 3}
    assert shell("echo number: 4", format="yaml").read().data == {"number": 4}


def test_a_refused_value_is_named_by_its_line() -> None:
    with pytest.raises(ConfigError) as raised:
        ConfigLoader(SCHEMA, shell("echo; echo 'number = \"x\"'")).load()
    assert str(raised.value).startswith("/bin/sh …:2:10: number: ")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exit 3", "exited with status 3"),
        ("echo 'number = 1'; echo one >&2; echo '  two ' >&2; exit 3", "exited with status 3: one | two"),
        ("kill -TERM $$", "was ended by signal 15"),
        (":", "prints nothing (allow_empty=True accepts that)"),
        ("echo why >&2", "prints nothing (allow_empty=True accepts that): why"),
        ("printf 'a = \\377'", "is not UTF-8: save it as UTF-8"),
        ("echo 'number ='", "is no valid TOML: Invalid value"),
        ("printf '\\357\\273\\277# nothing'", "is empty: nothing is set in it (allow_empty=True accepts that)"),
    ],
)
def test_what_it_can_t_give_is_said(script: str, said: str) -> None:
    assert problem(shell(script)).message == said


def test_what_can_t_be_started_is_said(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    assert str(problem(Command(["no-such-program"]))) == "no-such-program: can't be started: No such file or directory"
    assert problem(Command([str(plain)])).message == "can't be started: Permission denied"


def test_a_run_that_does_not_end_and_ignores_term_is_killed() -> None:
    found = problem(shell("trap '' TERM; echo half; echo late >&2; sleep 600", timeout=0.3))
    assert found.message == "has not ended within 0.3 s, and was killed: late"


def test_output_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("confcast.config.sources.command.MAX_BYTES", 2 * 1024**2)
    found = problem(Command([sys.executable, "-c", "while True: print('x' * 100_000)"], timeout=60))
    assert found.message == "prints more than 2 MiB, and was killed"
    assert common.MAX_BYTES == 16 * 1024**2


def test_a_child_that_keeps_the_output_holds_nobody() -> None:
    assert shell("sleep 600 & echo 'number = 1'").read().data == {"number": 1}


def test_nothing_may_be_allowed() -> None:
    assert shell(":", allow_empty=True).read().data == {}


def test_arguments_are_never_shown_not_even_where_the_program_says_them() -> None:
    source = Command(["/bin/sh", "-c", 'echo "bad token $1" >&2; exit 1', "x", "hunter2-hunter2"])
    assert problem(source).message == "exited with status 1: bad token **********"
    missing = problem(Command(["cat", "/no/such/file"]))
    assert str(missing).endswith("exited with status 1: cat: /no/such/file: No such file or directory")
    assert "hunter2" not in repr(source) + str(source.__rich_repr__()) + source.shown + str(source.read.__doc__)


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("hunter2/+hunter2==", "hunter2/+hunter2=="),
        ("/hunter2hunter2/hunter2hunter2hunter2hunter2+", "/hunter2hunter2/hunter2hunter2hunter2hunter2+"),
        ("--token=hunter2", "hunter2"),
        ("TOKEN=hunter2/hunter2", "hunter2/hunter2"),
        ("Authorization: Bearer hunter2", "hunter2"),
        ("https://svc:hunter2@h/x?token=hunter3", "https://svc:hunter2@h/x"),
        ("https://svc:hunter2@h/x?token=hunter3", "hunter2"),
    ],
)
def test_nor_where_it_says_a_part_of_one(argument: str, says: str) -> None:
    said = problem(Command(["/bin/sh", "-c", f"echo 'bad: {says}' >&2; exit 1", "x", argument]))
    assert "hunter" not in said.message
    assert said.message.startswith("exited with status 1: bad: ")


def test_a_path_among_the_arguments_is_said(tmp_path: Path) -> None:
    for path in (str(tmp_path), "./no/such/file", "/no/such/file"):
        found = problem(Command(["/bin/sh", "-c", 'echo "missing: $2" >&2; exit 1', "x", f"--in={path}", path]))
        assert found.message == f"exited with status 1: missing: {path}"


def test_what_a_failure_says_is_bounded_and_no_change_of_content() -> None:
    assert len(problem(shell("printf '%05000d' 0 >&2; exit 1")).message) < 350
    source = shell("date +%N >&2; exit 1")
    said, before = problem(source).message, source.content_fingerprint()
    assert problem(source).message != said
    assert source.content_fingerprint() == before


def test_a_fingerprint_runs_nothing(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    source = shell(f"echo x >> {ran}; echo 'number = 1'")
    assert source.content_fingerprint() == polled.NOT_ASKED
    assert not ran.exists()
    layer = source.read()
    assert source.content_fingerprint() == layer.fingerprint
    assert ran.read_text() == "x\n"
    assert source.read().fingerprint == layer.fingerprint
    assert ran.read_text() == "x\nx\n"


def test_it_travels_to_the_owner() -> None:
    source = Command(["a", "b"], every=1, timeout=2, format="json", allow_empty=True)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(source), type=Command) == source
    assert hash(source) == hash(Command(("a", "b"), every=1, timeout=2, format="json", allow_empty=True))


@pytest.mark.parametrize(
    ("command", "options", "said"),
    [
        ("bin/settings --json", {}, "command: a list of texts is expected, such as ['bin/settings', '--json']"),
        ("it's", {}, "command: a list of texts is expected"),
        (["a", 5], {}, "command: a list of texts is expected, and one of its items is none"),
        ([], {}, "command: a program and its arguments are expected"),
        (["a\0"], {}, "command: a program and its arguments are expected"),
        (["a"], {"every": 0}, "every=0: a number of seconds above 0, and at most 86400, is expected"),
        (["a"], {"timeout": float("nan")}, "timeout=nan: a number of seconds above 0, and at most 600, is expected"),
        (["a"], {"format": "xml"}, f"unknown format 'xml': it has to be {FORMATS}"),
    ],
)
def test_what_is_no_command_is_refused(command: Any, options: Any, said: str) -> None:
    with pytest.raises((TypeError, ValueError)) as raised:
        Command(command, **options)
    assert str(raised.value) == said
