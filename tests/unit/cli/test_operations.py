"""What the commands that change a running server take, and what they say."""

from __future__ import annotations

import argparse
import io

import pytest
from pydantic import BaseModel, RedisDsn, SecretStr

from confcast.cli import operations, reload, status
from confcast.cli.arguments import assignment, duration, on_the_command_line
from confcast.cli.report import ExitCode
from confcast.config.codec import codec_of
from confcast.config.described import described
from confcast.errors import ConfigError, OwnerUnavailable, Problem
from confcast.wire.messages import Change, ReloadResult, SchemaKey, WorkerStatus
from tests.unit.cli.test_report import event


class Login(BaseModel):
    user: str = ""
    password: SecretStr = SecretStr("")


class Server(BaseModel):
    host: str = ""
    password: SecretStr = SecretStr("")


class Settings(BaseModel):
    login: Login = Login()
    broker: RedisDsn | None = None
    tokens: dict[str, SecretStr] = {}
    by_token: dict[SecretStr, int] = {}
    servers: list[Server] = []


def described_in_part(key: str) -> tuple[SchemaKey, ...]:
    return described(codec_of(Settings), key)


def nothing(key: str) -> list[SchemaKey]:
    raise ConfigError([Problem(key, "the schema has no such key")])


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("60s", 60.0), ("10m", 600.0), ("2h", 7200.0), ("0.5s", 0.5)]
)
def test_a_duration_is_seconds(text, seconds):
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-1", "10d", "m", "1 m", "inf", "1e3"])
def test_what_is_no_duration_is_refused_with_the_forms_that_are(text):
    with pytest.raises(argparse.ArgumentTypeError, match="10m"):
        duration(text)


@pytest.mark.parametrize("text", ["87601h", "9" * 400])
def test_a_duration_is_no_longer_than_an_owner_takes(text):
    assert duration("87600h") == 87600 * 3600
    with pytest.raises(argparse.ArgumentTypeError, match="longer than ten years"):
        duration(text)


def test_a_value_is_a_text_a_file_or_standard_input(tmp_path, monkeypatch):
    (file := tmp_path / "password").write_text("two words\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("from a pipe\n"))
    assert assignment("limits.api=10") == ("limits.api", "10")
    assert assignment("query=a=b") == ("query", "a=b")
    assert assignment("name=") == ("name", "")
    assert assignment(f"password=@{file}") == ("password", "two words")
    assert assignment("password=@-") == ("password", "from a pipe")


@pytest.mark.parametrize("text", ["limits.api", "=10", ""])
def test_what_is_no_assignment_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="KEY=VALUE"):
        assignment(text)


def test_a_file_that_can_t_be_read_is_named_with_its_key(tmp_path):
    with pytest.raises(argparse.ArgumentTypeError, match=r"password: .*gone can't be read: No such file"):
        assignment(f"password=@{tmp_path / 'gone'}")


def test_a_secret_on_the_command_line_is_warned_of_and_not_shown(capsys):
    words = ["login.password=hunter2", "login.user=me", "token=@-"]
    assert on_the_command_line(words) == {"login.password", "login.user"}
    masked = [Change(key, "**********", "**********") for key in ("login.password", "token")]
    operations.warn_of_secrets(event(changes=[*masked, Change("login.user", "you", "me")]), words, nothing)
    told = capsys.readouterr().err
    assert "login.password" in told
    assert "hunter2" not in told
    assert "token" not in told
    assert "user" not in told


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("login.password=hunter2", "login.password"),
        ("login.password=@-", ""),
        ("login.user=me", ""),
        ('login={"user": "me", "password": "hunter2"}', "login"),
        ('login={"user": "me@home"}', ""),
        ("broker=redis://:hunter2@queue", "broker"),
        ("broker=redis://queue", ""),
        ("tokens.me=hunter2", "tokens"),
        ('tokens={"me": "hunter2"}', "tokens"),
        ("by_token.hunter2=1", "by_token"),  # its keys are secrets
        ('servers=[{"host": "a", "password": "hunter2"}]', "servers"),
        ('servers=[{"host": "a"}]', ""),
        ("servers.0.password=hunter2", "servers.0.password"),
        ("servers[0].password=hunter2", "servers[0].password"),
        ("servers[0].host=a", ""),
        ("pasword=hunter2", ""),  # there is no such key
    ],
)
def test_so_is_one_that_was_refused(capsys, word, shown):
    operations.warn_of_secrets(event(ReloadResult.VALIDATION_FAILED), [word], described_in_part)
    told = capsys.readouterr().err
    assert (f"list of processes: {shown};" in told) if shown else not told
    assert "hunter2" not in told


@pytest.mark.parametrize("result", [ReloadResult.OWNER_UNAVAILABLE, ReloadResult.VALIDATION_FAILED])
def test_an_owner_that_does_not_answer_is_asked_once_at_the_most(capsys, result):
    asked = []

    def silent(key: str) -> list[SchemaKey]:
        asked.append(key)
        raise OwnerUnavailable("no answer")

    operations.warn_of_secrets(event(result), ["login.password=hunter2", "token=x"], silent)
    assert len(asked) == (result is not ReloadResult.OWNER_UNAVAILABLE)
    assert not capsys.readouterr().err


def test_a_url_with_a_password_is_one_and_a_url_that_has_none_any_more_is_none(capsys):
    masked, plain = "redis://:**********@queue", "redis://queue"
    operations.warn_of_secrets(event(changes=[Change("broker", masked, plain)]), ["broker=redis://queue"], nothing)
    assert not capsys.readouterr().err
    operations.warn_of_secrets(
        event(changes=[Change("broker", plain, masked)]), ["broker=redis://:hunter2@queue"], nothing
    )
    assert "list of processes: broker;" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "changed", "shown"),
    [
        ('tokens={"a": "hunter2"}', "tokens.a", "tokens.a"),  # a table
        ("by_token.hunter2=1", "by_token", "by_token"),  # its keys are secrets
        ("token=x", "tokens.a", ""),
        ("tokens.a.b=x", "tokens.ab", ""),
    ],
)
def test_a_secret_in_a_table_on_the_command_line_is_warned_of_too(capsys, word, changed, shown):
    operations.warn_of_secrets(event(changes=[Change(changed, "**********", "**********")]), [word], nothing)
    told = capsys.readouterr().err
    assert (f"list of processes: {shown};" in told) if shown else not told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("result", "line", "code"),
    [
        (ReloadResult.SUCCESS, "success: it would be applied; nothing was changed, version 7 runs", 0),
        (ReloadResult.PARTIAL, "partial: it would be applied; nothing was changed, version 7 runs", 4),
        (ReloadResult.UNCHANGED, "unchanged: a reload would change nothing; nothing was changed, version 7 runs", 0),
        (ReloadResult.REJECTED, "rejected: it would be refused; nothing was changed, version 7 runs", 1),
        (ReloadResult.OWNER_UNAVAILABLE, "owner_unavailable: what became of it is unknown", 3),
    ],
)
def test_the_report_on_a_dry_run_says_what_would_be(result, line, code):
    told = reload.report(event(result, dry_run=True, changes=[Change("a", 1, 2)]), [])
    assert (told.text.splitlines()[0], told.exit) == (line, code)
    assert f"{'would apply: ' if result else 'not applied: '}a: 1 -> 2" in told.text


def test_a_conflict_has_an_exit_code_of_its_own():
    told = reload.report(event(ReloadResult.CONFLICT), [WorkerStatus(7, 1, "current")])
    assert told.exit is ExitCode.CONFLICT
    assert told.text.startswith("conflict: nothing was changed, version 7 runs on")


def test_the_status_says_what_people_have_set():
    who = {"uid": 0, "pid": 7, "command": "confcast rollback"}
    one = {"key": "a.b", "value": 3, "since": 1e9, "who": who, "expires": 2e9, "reason": "load"}
    lines = status._operated(
        {
            "held": {"version": 12, "since": 1e9, "who": who, "reason": "out of memory"},
            "overrides": [
                {**one, "needed": True, "applied": True},
                {**one, "needed": False, "applied": True, "expires": None, "who": None, "reason": ""},
                {**one, "needed": False, "applied": False},
            ],
        }
    )
    assert lines[0].startswith("held     the content of version 12, since ")
    assert ", by root: out of memory; `confcast resume`" in lines[0]
    assert lines[1].startswith("set      a.b = 3, since ")
    assert ", until " in lines[1]
    assert "no longer needed" in lines[3]
    assert lines[4].startswith("set      a.b, since "), "it has no effect, and so no value"
    assert "the schema has no such key" in lines[5]
    assert status._operated({}) == []


@pytest.mark.parametrize(
    ("stats", "last", "why"),
    [
        ({"trial": {"version": 8}}, event(), "it ends when the trial has ended"),
        ({"phase": "loading"}, event(), "the owner is loading"),
        ({}, event(ReloadResult.IO_ERROR, origin="expiry"), "the journal can't be written; the owner tries again"),
        ({}, event(ReloadResult.REJECTED, origin="expiry"), "its end was refused, and comes with the next load"),
        ({"phase": "idle"}, event(), "it ends with the next load"),
        ({}, None, "it ends with the next load"),
    ],
)
def test_the_status_says_why_a_value_stays_beyond_its_time(stats, last, why, monkeypatch):
    monkeypatch.setattr(status.time, "time", lambda: 2e9 + 60)
    one = {"key": "a.b", "value": 3, "since": 1e9, "who": None, "reason": "", "needed": True, "applied": True}
    lines = status._operated({**stats, "overrides": [{**one, "expires": 2e9}]}, last)
    assert lines[1].startswith(f"         stays beyond its time: {why}")
    for expires in (None, 2e9 + 60, 3e9):
        assert len(status._operated({**stats, "overrides": [{**one, "expires": expires}]}, last)) == 1
