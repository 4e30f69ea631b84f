"""`confcast fleet …` over an engine in memory: what it says, its exit codes, and that no secret is in it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from confcast.cli import commands, main
from confcast.cli.fleet import publish
from confcast.fleet import publishing
from confcast.fleet.engines.engine import Fault, Unreachable
from confcast.fleet.head import BadHead, chosen, decode, digest_of, id_of
from confcast.fleet.reports import Report, Seen, Summary, decode_reports
from confcast.fleet.reports import encode as encode_report
from tests.support.engines.memory import MemoryEngine

SENTINEL = "s3cr3t-s3ntin3l-0123456789"
URL = f"redis://deploy:{SENTINEL}@config.example/0"
ONE, TWO = f'port = 1\npassword = "{SENTINEL}1"\n', f'port = 2\npassword = "{SENTINEL}2"\n'
FAST = ("--bake", "0.2s", "--max-lag", "2s")


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def documents(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Said]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> MemoryEngine:
    engine = MemoryEngine()
    monkeypatch.setattr("confcast.fleet.engines.connect", engine.connect)
    monkeypatch.setattr(publishing, "WITHIN", 0.1)
    monkeypatch.setattr(publishing, "LOOK_WITHIN", 0.1)
    monkeypatch.setenv("CONFCAST_FLEET_URL", URL)
    monkeypatch.setenv("CONFCAST_FLEET_KEY", "shop")
    return engine


@pytest.fixture
def run(engine: MemoryEngine, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    (tmp_path / "one.toml").write_text(ONE)
    (tmp_path / "two.toml").write_text(TWO)
    everything = []

    def called(*words: str) -> Said:
        before = Path.cwd()
        os.chdir(tmp_path)
        try:
            code = main(["fleet", *words])
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            os.chdir(before)
        said = Said(code, *capfd.readouterr())
        everything.append(said)
        return said

    yield called
    for said in everything:
        assert SENTINEL not in said.out + said.err
        assert "Traceback" not in said.err
    assert engine.connections == 0


def hosts(engine: MemoryEngine, number: int, answer: Callable[[str], str] = lambda host: "good") -> None:
    """Hosts that answer whenever they are asked for, as the reports of an engine."""

    def report(host: str, digest: str, salt: str, state: Any) -> None:
        reason = "port: has to be even" if state == "refused" else ""
        said = Report(host, digest, salt, state, name=f"web-{host}", reason=reason, good_in=9.0)
        engine.reports[host] = encode_report(said), time.monotonic()

    def on(step: str) -> None:
        if step != "reports":
            return
        try:
            head = None if engine.head is None else decode(engine.head)
        except BadHead:
            return
        for host in map(str, range(number)):
            digest = "" if head is None else chosen(head, host, {})
            meant = head is not None and digest == head.next
            report(host, digest, "" if head is None else head.salt, answer(host) if meant else "good")

    engine.on = on


def test_a_rollout_is_told_line_by_line_to_its_end(engine: MemoryEngine, run: Run):
    hosts(engine, 10)
    first = run("publish", "one.toml")
    assert first.code == 0
    assert "there was no head, so it is stable for all hosts at once" in first.out
    assert "checked    by its format only: give --loader or --schema" in first.out
    done = run("publish", "two.toml", "--reason", "bigger", *FAST)
    assert (done.code, done.err) == (0, "")
    assert [line[:9].strip() for line in done.out.splitlines()] == [
        *("published", "checked", "waiting", "widened", "waiting", "widened", "waiting", "promoted")
    ]
    assert "waiting    stage 1 of 3 (1 host): 1 of 1 good; waits for the end of its 0.2 s" in done.out
    assert done.out.splitlines()[-1] == "promoted   10 of 10 hosts are good; it is stable for all hosts"
    assert engine.head is not None
    assert decode(engine.head).stable == digest_of(TWO.encode())


def test_a_stopped_rollout_exits_with_1_and_says_who_refused_it_and_why(engine: MemoryEngine, run: Run):
    hosts(engine, 3, lambda host: "refused")
    run("publish", "one.toml")
    done = run("publish", "two.toml", *FAST, "--json")
    assert done.code == 1
    last = done.documents[-1]
    assert last["outcome"] == "stopped"
    assert "refused it: port: has to be even" in last["text"]
    assert engine.head is not None
    assert (decode(engine.head).stable, decode(engine.head).next) == (digest_of(ONE.encode()), None)
    stopped = run("history").out.splitlines()[1]
    assert "  stop  " in stopped
    assert stopped.endswith("refused it: port: has to be even")


def test_what_hosts_call_themselves_and_say_moves_no_cursor(engine: MemoryEngine, run: Run):
    hosts(engine, 1, lambda host: "refused")
    answer = engine.on

    def on(step: str) -> None:
        answer(step)
        for host, (record, at) in engine.reports.items():
            (seen,) = decode_reports(record, 0.0)
            evil = msgspec.structs.replace(seen.report, name="\x1b[31mEVIL\x07\nforged", reason="no\x1b[2J\nforged")
            engine.reports[host] = encode_report(evil), at

    engine.on = on
    run("publish", "one.toml")
    done = run("publish", "two.toml", *FAST)
    assert done.code == 1
    assert "\\x1b[31mEVIL\\x07\\nforged refused it: no\\x1b[2J\\nforged" in done.out
    assert not set(done.out + done.err) & set("\x1b\x07")
    assert not [each for each in done.out.splitlines() if each.startswith("forged")]


def test_the_options_of_a_rollout_are_those_of_its_head():
    words = ["fleet", "publish", "x", "--stages", "2 hosts, 100%", "--bake", "2m", "--min-acks", "7"]
    words += ["--rings", "ring=canary, ring=early", "--rings", "zone=a", "--max-refused", "3", "--max-lag", "1.5s"]
    expected = publishing.Rollout(("2 hosts", "100%"), 0, ("ring=canary", "ring=early", "zone=a"), 120.0, 7, 3, 1.5)
    assert publish._rollout(commands.parse(words)) == expected
    assert publish._rollout(commands.parse(["fleet", "publish", "x"])) == publishing.Rollout(("1 host", "10%", "100%"))
    assert commands.parse(["fleet", "--json", "status"]).json
    assert commands.parse(["fleet", "status"]).command == "fleet status"


def test_what_is_stable_already_is_unchanged(engine: MemoryEngine, run: Run):
    run("publish", "one.toml")
    again = run("publish", "one.toml")
    assert (again.code, again.out.split()[0]) == (0, "unchanged")


@pytest.mark.parametrize("words", [("publish", "two.toml"), ("rollback",), ("confirm",)])
def test_another_head_than_the_expected_one_exits_with_5_and_the_winner(engine: MemoryEngine, run: Run, words):
    run("publish", "one.toml", "--reason", "the first")
    done = run(*words, "--expect", "7-00000000")
    assert engine.head is not None
    assert done.code == 5
    assert f"conflict  the head is {id_of(engine.head)}, and 7-00000000 was expected" in done.out
    assert f"winner    {id_of(engine.head)}, publish of {digest_of(ONE.encode())[:8]} by " in done.out
    assert done.out.rstrip().endswith(": the first")
    [data] = run("publish", "two.toml", "--expect", "7-00000000", "--json").documents
    assert (data["outcome"], data["winner"]["why"], data["winner"]["what"]) == ("conflict", "the first", "publish")


def test_a_persons_publish_ends_a_rollout_with_5(engine: MemoryEngine, run: Run):
    run("publish", "one.toml")
    hosts(engine, 3)
    answer = engine.on

    def on(step: str) -> None:
        answer(step)
        if step == "swap" and len(engine.entries) == 2:  # the first stage has passed
            engine.on = answer
            other = publishing.Head("c" * 64, rev=9, by="somebody@else", at=1.0)
            engine.entries.append(publishing.encode_entry(publishing.Entry("force", other)))
            engine.head = publishing.encode(other)

    engine.on = on
    done = run("publish", "two.toml", *FAST)
    assert done.code == 5
    assert "stood down  somebody has published something else, which counts" in done.out
    assert "force of cccccccc by somebody@else" in done.out


def test_no_answer_of_an_engine_exits_with_3(engine: MemoryEngine, run: Run):
    engine.down = Unreachable("redis://***@config.example/0: connection refused")
    for words in (("publish", "one.toml"), ("status",), ("history",), ("diff",), ("rollback",), ("confirm",)):
        done = run(*words)
        assert (done.code, done.out) == (3, "")
        assert done.err == f"confcast fleet {words[0]}: redis://***@config.example/0: connection refused\n"
    data = run("publish", "one.toml", "--json").documents
    assert data == [{"error": "redis://***@config.example/0: connection refused"}]


def test_an_engine_that_says_no_exits_with_1(engine: MemoryEngine, run: Run):
    engine.down = Fault("redis://***@config.example/0: wrong password")
    done = run("publish", "one.toml")
    assert (done.code, done.out) == (1, "refused  redis://***@config.example/0: wrong password\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("publish",), "give the FILE to publish, or --attach"),
        (("publish", "one.toml", "--force"), "--force goes to all hosts at once, without a stage that could stop it"),
        (("publish", "one.toml", "--force", "--reason", "x", "--bake", "3s"), "leave --bake out"),
        (("publish", "one.toml", "--attach"), "leave FILE, --force, --expect and stages out"),
        (("publish", "one.toml", "--stages", "1 host, 10%"), "the last stage has to be 100%"),
        (("publish", "one.toml", "--rings", "ring=a,canary"), "'canary' is no label: LABEL=VALUE is expected"),
        (("publish", "one.toml", "--min-acks", "0"), "'0' is no number of at least 1"),
        (("publish", "gone.toml"), "gone.toml can't be read: No such file or directory"),
        (("publish", "one.toml", "--to", ""), "is empty: give one, or leave the option out"),
        (("publish", "one.toml", "--expect", ""), "is empty: give one, or leave the option out"),
        (("publish", "one.toml", "--key", "a/b"), "key='a/b': a letter or digit"),
        (("status", "--to", "http://gw.example"), "http://gw.example: a URL of an engine is expected"),
        (("publish", "one.toml", "--loadr", "x:y"), "did you mean --loader?"),
        (("promote",), "did you mean `confcast fleet confirm`?"),
        (("stauts",), "did you mean `confcast fleet status`?"),
        ((), "give a verb: publish, status, history, diff, rollback, confirm, gateway"),
    ],
)
def test_what_can_not_be_understood_exits_with_2(engine: MemoryEngine, run: Run, words, said):
    done = run(*words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert engine.steps == []


def test_a_file_without_an_end_is_refused_as_any_that_is_too_large(engine: MemoryEngine, run: Run):
    done = run("publish", "/dev/zero", "--json")
    assert (done.code, json.loads(done.out)) == (
        1,
        {"outcome": "refused", "error": "/dev/zero is larger than 1047552 bytes, the most that a fleet carries"},
    )
    assert engine.steps == []


def test_an_engine_and_a_key_have_to_be_said(engine: MemoryEngine, run: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CONFCAST_FLEET_KEY")
    assert "give --key KEY, or set CONFCAST_FLEET_KEY" in run("status").err
    monkeypatch.delenv("CONFCAST_FLEET_URL")
    assert "give --to URL, or set CONFCAST_FLEET_URL" in run("publish", "one.toml").err


def test_a_password_on_the_command_line_is_warned_of_and_not_shown(engine: MemoryEngine, run: Run):
    said = run("history", "--from", URL)
    assert said.err.startswith("warning: others may have read the password in the list of processes")
    assert run("history").err == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("port = \n", "one.toml:1:8"),
        ("", "one.toml: is empty"),
        ("port = 'x'\n", ""),
    ],
)
def test_a_file_is_parsed_before_anything_is_asked(engine: MemoryEngine, run: Run, tmp_path: Path, content, said):
    (tmp_path / "one.toml").write_text(content)
    done = run("publish", "one.toml")
    assert done.code == (1 if said else 0)
    assert said in done.out
    assert bool(engine.steps) is not bool(said)


SETTINGS = """
from pydantic import BaseModel, Field, SecretStr
from confcast import ConfigLoader, Environment
from confcast.fleet import Gateway, Redis

class Settings(BaseModel):
    port: int = Field(lt=100)
    password: SecretStr
    host: str = "unset"

loader = ConfigLoader(Settings, Redis("redis://x.example", "shop"), Environment("SHOPTEST_"))
other = ConfigLoader(Settings, Redis("redis://x.example", "another"))
none = ConfigLoader(Settings, Environment("SHOPTEST_"))
both = ConfigLoader(Settings, Redis("redis://x.example", "shop"), Gateway("https://gw.example", "shop"))
print("imported")
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"settings_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(SETTINGS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SHOPTEST_HOST", "here")
    return name


@pytest.mark.parametrize("by", ["--loader {}:loader", "--loader {}:both", "--schema {}:Settings"])
def test_the_loader_or_the_schema_refuses_before_anything_is_asked(
    engine: MemoryEngine, run: Run, tmp_path: Path, settings: str, by: str
):
    (tmp_path / "bad.toml").write_text(f'port = 100\npasword = "{SENTINEL}"\n')
    words = by.format(settings).split()
    done = run("publish", "bad.toml", *words)
    assert (done.code, engine.steps) == (1, [])
    assert "bad.toml:1:8: port: " in done.out
    assert "bad.toml:2" in done.out
    assert "    port = 100\n" in done.out, "the line, with a caret"
    assert "imported" not in done.out
    done = run("publish", "one.toml", *words)
    assert done.code == 0
    assert f"checked    by {words[1]}" in done.out


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("other", "follows no key 'shop', so hosts would not get it; it follows another"),
        ("none", "follows no key 'shop', so hosts would not get it; it follows none at all"),
        ("lodaer", "did you mean 'loader'?"),
    ],
)
def test_a_loader_that_would_not_get_it_is_refused(engine: MemoryEngine, run: Run, settings: str, by: str, said: str):
    done = run("publish", "one.toml", "--loader", f"{settings}:{by}")
    assert (done.code, engine.steps) == (1, [])
    assert said in done.out


def test_a_schema_that_can_not_be_imported_is_refused(engine: MemoryEngine, run: Run, settings: str):
    assert "the schema can't be used" in run("publish", "one.toml", "--schema", "nowhere:Settings").out
    assert run("publish", "one.toml", "--schema", f"{settings}:Nothing").code == 1
    assert engine.steps == []


def test_diff_masks_by_the_schema_and_without_one_by_what_looks_secret(
    engine: MemoryEngine, run: Run, tmp_path: Path, settings: str
):
    hosts(engine, 0)
    run("publish", "one.toml")
    engine.payloads[digest_of(TWO.encode())] = TWO.encode()
    run("publish", "two.toml", "--force", "--reason", "tests")
    for words in ((), ("--schema", f"{settings}:Settings"), ("--loader", f"{settings}:loader")):
        done = run("diff", "1", "2", *words)
        assert done.code == 0
        lines = done.out.splitlines()
        assert lines[0].startswith("1 (")
        assert lines[1:] == ["port: 1 -> 2", "password: '**********' -> '**********'"]
    [data] = [json.loads(run("diff", "1", "--json").out)]
    assert [each["key"] for each in data["changes"]] == ["port", "password"]
    assert "nothing differs" in run("diff", "2").out
    assert run("diff").code == 1
    assert "no `next`" in run("diff").out


def test_diff_of_what_todays_schema_refuses_compares_plain_data(
    engine: MemoryEngine, run: Run, tmp_path: Path, settings: str
):
    (tmp_path / "old.toml").write_text("port = 5000\n")
    run("publish", "old.toml")
    run("publish", "one.toml", "--force", "--reason", "tests")
    done = run("diff", "1", "--schema", f"{settings}:Settings")
    assert done.code == 0
    assert f"one of them is refused by {settings}:Settings today" in done.out
    assert "port: 5000 -> 1" in done.out


def test_history_says_who_and_why_and_what_is_there(engine: MemoryEngine, run: Run):
    assert run("history").out == "nothing was published under this key\n"
    run("publish", "one.toml", "--reason", "the first")
    run("publish", "two.toml", "--force", "--reason", "in a hurry")
    told = run("history")
    lines = told.out.splitlines()
    assert lines[0].split() == ["HEAD", "WHEN", "WHAT", "STABLE", "NEXT", "BY", "WHY"]
    assert lines[1].startswith("*  2-")
    assert lines[1].endswith("in a hurry")
    assert lines[2].endswith("the first")
    assert len(run("history", "-n", "1").out.splitlines()) == 2
    data = json.loads(run("history", "--json").out)
    assert [each["what"] for each in data["versions"]] == ["force", "publish"]
    assert data["versions"][0]["replaced"] == data["versions"][1]["id"]
    engine.head = None
    assert "there is no head now: it was deleted" in run("history").out


def test_history_says_of_a_stage_that_was_passed_what_has_passed_it():
    from confcast.cli.fleet.history import report
    from confcast.fleet.head import Head
    from confcast.fleet.publishing import Version
    from confcast.fleet.reports import Entry

    head = Head("a" * 64, "b" * 64, why="a larger pool")
    entries = [Entry("widen", head, detail="5 of 5 hosts are good"), Entry("stop", head, detail="one was lost")]
    lines = report([Version("2-a", entries[0]), Version("1-a", entries[1])], "2-a").text.splitlines()
    assert lines[1].endswith("5 of 5 hosts are good")
    assert lines[2].endswith("a larger pool")


def test_rollback_and_confirm(engine: MemoryEngine, run: Run):
    assert (run("rollback").code, run("confirm").code) == (1, 1)
    run("publish", "one.toml")
    run("publish", "two.toml", "--force", "--reason", "tests")
    done = run("rollback", "--reason", "it was bad")
    assert done.code == 0
    assert done.out.startswith("rolled back  3-")
    assert f"all hosts go back to {digest_of(ONE.encode())[:8]}" in done.out
    assert run("rollback", "2").code == 0
    assert run("rollback", "9").code == 1
    assert "nothing is being rolled out" in run("confirm").out


def test_attach_goes_on_with_a_rollout_and_says_if_there_is_none(engine: MemoryEngine, run: Run):
    assert run("publish", "--attach").code == 1
    hosts(engine, 3, lambda host: "loading")
    run("publish", "one.toml")
    done = run("publish", "two.toml", "--bake", "0.2s", "--max-lag", "0.3s")
    assert done.code == 1
    assert "did not answer within 0.3 s" in done.out
    hosts(engine, 3)
    engine.on("reports")
    run("publish", "one.toml")
    engine.on = lambda step: None
    engine.head = publishing.encode(_in_rollout(engine))
    hosts(engine, 3)
    done = run("publish", "--attach")
    assert done.code == 0
    assert done.out.splitlines()[-1].startswith("promoted")


def _in_rollout(engine: MemoryEngine):
    assert engine.head is not None
    head = decode(engine.head)
    rollout = publishing.Rollout(("100%",), bake=0.2)
    return publishing.begun(head.stable, digest_of(TWO.encode()), rollout, "salt", 9, {})


def test_ctrl_c_says_that_the_rollout_stays_and_how_to_go_on(engine: MemoryEngine, run: Run):
    hosts(engine, 3)
    run("publish", "one.toml")
    answer, killer = engine.on, threading.get_ident()

    def on(step: str) -> None:
        answer(step)
        if step == "reports" and len(engine.entries) == 2:
            engine.on = answer
            signal.pthread_kill(killer, signal.SIGINT)

    engine.on = on
    done = run("publish", "two.toml", "--bake", "60s")
    assert done.code == 130
    assert "a rollout stays in the stage where it is, and nothing widens by itself" in done.err
    assert "`confcast fleet publish --attach`" in done.err
    assert "`confcast fleet rollback`" in done.err
    assert engine.head is not None
    assert decode(engine.head).next == digest_of(TWO.encode())


def test_status_shows_hosts_by_version_and_what_is_against_it(engine: MemoryEngine, run: Run):
    assert "none: nothing was published under this key" in run("status").out
    run("publish", "one.toml")
    run("publish", "two.toml", "--force", "--reason", "tests")
    one, two = (digest_of(each.encode()) for each in (ONE, TWO))
    now = time.monotonic()

    def seen(name: str, digest: str, state: Any, age: float = 0.0, reason: str = "") -> None:
        engine.reports[name] = encode_report(Report(name, digest, "", state, name=name, reason=reason)), now - age

    for each in range(6):
        seen(f"bad-{each}", two, "refused", reason="port: has to be even\x1b[2J")
    seen("good", two, "good")
    seen("slow", one, "good")
    seen("held", two, "held")
    seen("quiet", two, "good", age=120.0)
    seen("gone", one, "good", age=500.0)
    behind = Seen(Report("behind", two, "", "applied", name="behind"), 0.0, connected=True)
    engine.reports["gw"] = encode_report(Summary("gw-1", (behind,))), now - 0.5
    engine.reports["strange"] = b"{}", now
    told = run("status")
    assert told.code == 0
    assert "\x1b" not in told.out
    lines = told.out.splitlines()
    assert lines[0] == "key       shop"
    assert lines[2] == "hosts     11 there, 1 away"
    assert lines[3] == "gateway   gw-1: 1 host, heard 0.5 s ago"
    assert lines[5].split() == ["VERSION", "IS", "HOSTS", "GOOD", "APPLIED", "HELD", "REFUSED"]
    assert lines[6].split() == [two[:8], "stable", "10", "2", "1", "1", "6"]
    assert lines[7].split() == [one[:8], "1", "1", "0", "0", "0"]
    refused = f"refused   {two[:8]} by 6 hosts: bad-0, bad-1, bad-2, bad-3, bad-4 and 1 more: port: has to be even"
    assert any(line.startswith(refused) for line in lines)
    assert "lagging   slow has not answered yet for what the head gives it" in lines
    assert "stale     quiet has missed a report" in lines
    assert "held      held is held by a person" in lines
    assert "away      gone was not heard of for minutes" in lines
    data = json.loads(run("status", "--json").out)
    assert data["hosts"] == 11
    assert data["away"] == ["gone"]
    assert data["gateways"][0]["gateway"] == "gw-1"
    assert data["against"][0]["hosts"] == [f"bad-{each}" for each in range(6)]


def test_what_is_no_head_is_said_and_what_to_do(engine: MemoryEngine, run: Run):
    run("publish", "one.toml")
    engine.head = b"somebody else's"
    assert "head      what is there is no head of confcast: " in run("status").out
    assert "`confcast fleet publish --force` puts a head in its place" in run("status").out
    assert "what is there, which is no head of confcast, is not in the audit trail" in run("history").out
    assert run("publish", "one.toml").code == 1
    assert run("publish", "one.toml", "--force", "--reason", "repair").code == 0


def test_status_shows_what_a_rollout_waits_for(engine: MemoryEngine, run: Run):
    run("publish", "one.toml")
    engine.head = publishing.encode(_in_rollout(engine))
    assert "rollout   stage 1 of 1 (100%): 0 of 0 good; waits for a host: none is there" in run("status").out
    hosts(engine, 2, lambda host: "applied")
    told = run("status")
    assert "rollout   stage 1 of 1 (100%): 0 of 2 good, 2 more applied; waits for 2 more good hosts" in told.out
    assert [line.split()[:3] for line in told.out.splitlines() if "next" in line] == [
        [digest_of(TWO.encode())[:8], "next", "2"]
    ]
    assert json.loads(run("status", "--json").out)["rollout"]["lacking"] == 2


def test_what_failed_after_a_change_is_a_line_of_its_own():
    head = publishing.Head("0" * 64, rev=3)
    done = publishing.Published("forced", head, "3-abc", "2-def", "to all hosts", "payloads stay: no right to delete")
    report = publish.outcome(done)
    assert report.text.splitlines()[1] == "warning    payloads stay: no right to delete"
    assert report.data["warning"] == "payloads stay: no right to delete"
    assert "warning" not in publish.outcome(done._replace(warning="")).data
