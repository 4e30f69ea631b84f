"""Webhooks from a real owner to a real HTTP server: what is sent, how it is tried again, and that no reload waits."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from confcast import ConfcastError, ConfigLoader, ReloadResult, Webhook, attach
from confcast.master.embedded import EmbeddedManager
from tests.support.commands import runner
from tests.support.fixtures import Manager
from tests.support.leaks import is_running
from tests.support.owners import await_the_next, kill_the_owner
from tests.support.passing import Passing
from tests.support.quick_webhooks import SCHEMA, WITHIN, Quick
from tests.support.receiver import SECRET, Got, Receiver, receiving
from tests.support.settings import write
from tests.support.slow import slow
from tests.support.waiting import eventually

StartQuick = Callable[..., Manager]
KEY = SecretStr(SECRET)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def start(config: Path, nothing_is_left: None) -> Iterator[StartQuick]:
    """Starts a manager whose owner tries again in no time; it posts to these URLs."""
    managers: list[Manager] = []

    def begin(*urls: str, **options: Any) -> Manager:
        hooks = options.pop("webhooks", [Webhook(url, KEY) for url in urls])
        loader: ConfigLoader[Any] = ConfigLoader(SCHEMA, config)
        how = {"watch": False, "vote_timeout": 10.0, "probation": 0, "webhooks": hooks, **options}
        managers.append(EmbeddedManager(loader, **how))
        return managers[-1].start()

    yield begin
    for manager in managers:
        manager.close()


def told_by(manager: Manager, number: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = manager.get_stats()["webhooks"][number]
    return found


def delivered(manager: Manager, count: int) -> dict[str, Any]:
    """What the owner says, once it has noted that so many messages were taken."""
    eventually(lambda: told_by(manager)["delivered"] >= count, f"{count} messages are delivered")
    return told_by(manager)


# ---- what is sent


def test_each_kind_of_event_is_sent_once_signed_and_as_the_history_has_it(
    passing: Passing, start: StartQuick, receiver: Receiver, config: Path
) -> None:
    manager = start(receiver.url)
    with contextlib.closing(attach(Quick, manager.address)):
        _change_in_each_way(passing, manager, config)

    got = receiver.await_got(9)
    delivered(manager, 9)
    assert receiver.unverified == []
    types = [each.type for each in got]
    assert types == ["settled", "settled", "refused", "settled", "undone", "settled", "held", "held", "settled"]
    assert len({each.id for each in got}) == 9
    events = {event.version: event for event in manager.get_event_history() if event}
    told = got[1].told["data"]
    assert (told["name"], told["version"], told["previous_version"], told["origin"]) == ("app", 2, 1, "call")
    assert (told["reason"], told["who"]["pid"], told["cut"]) == ("more room", os.getpid(), [])
    assert told["timestamp"] == events[2].timestamp
    assert {each["key"]: (each["old"], each["new"]) for each in told["changes"]} == {
        "number": (1, 2),
        "twin": (1, 2),
        "password": ("**********", "**********"),
    }
    assert got[2].told["data"]["problems"][0]["location"] == f"{config}:1:10"
    assert "nobody confirmed version 3 within 60 s" in got[4].told["data"]["evidence"][0]
    assert os.getpid() in got[1].told["data"]["applied"]
    assert not any("hunter2" in f"{each.body!r}{each.headers}" for each in got)


def test_a_webhook_is_sent_what_it_wants_and_several_are_sent_the_same_message(
    start: StartQuick, receiver: Receiver, config: Path, tmp_path: Path
) -> None:
    file = tmp_path / "hook"
    file.write_text(f"{SECRET}\n")
    with receiving() as other:
        hooks = [Webhook(receiver.url, KEY, on=["refused"]), Webhook(other.url, file)]
        manager = start(webhooks=hooks)
        write(config, -1)
        assert not manager.reload()
        refused = other.await_got(2)[1]
        (only,) = receiver.await_got(1)
        assert (only.type, only.id, only.body) == ("refused", refused.id, refused.body)
        assert [each.type for each in other.got] == ["settled", "refused"]
        assert other.unverified == receiver.unverified == []


def test_a_rotated_secret_signs_from_the_next_message_on(
    start: StartQuick, receiver: Receiver, config: Path, tmp_path: Path
) -> None:
    file, fresh = tmp_path / "hook", "whsec_" + "QUJD" * 8
    file.write_text(fresh)
    manager = start(webhooks=[Webhook(receiver.url, file)])
    receiver.await_got(1)
    assert receiver.unverified == ["No matching signature found"]
    file.write_text(f"{fresh}\n{SECRET}\n")
    write(config, 2)
    assert manager.reload()
    assert receiver.await_got(2)[1].headers["webhook-signature"].count("v1,") == 2
    assert len(receiver.unverified) == 1
    file.unlink()
    write(config, 3)
    assert manager.reload()
    eventually(lambda: told_by(manager)["error"], "that the file is missing")
    assert told_by(manager)["error"] == f"its secret can't be used: {file}: it can't be read: No such file or directory"
    file.write_text(SECRET)
    receiver.await_got(3)
    assert len(receiver.unverified) == 1


def _change_in_each_way(passing: Passing, manager: Manager, config: Path) -> None:
    write(config, 2, password="hunter2")
    assert manager.reload(reason="more room")
    write(config, -1)
    assert not manager.reload()
    write(config, 3)
    assert manager.set({"number": 4, "twin": 4}, confirm_within=60.0)
    passing.by(60.0, manager)
    assert manager.wait().result is ReloadResult.UNDONE
    assert manager.rollback(1)
    assert manager.reload().result is manager.reload().result is ReloadResult.HELD
    assert manager.resume()
    assert manager.reload().result is ReloadResult.UNCHANGED


# ---- what goes wrong


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (500, "answers with status 500"),
        slow("close", "it closed the connection without an answer"),
        slow("half", "what answers there does not speak HTTP as it should"),
        slow("drip", f"no whole answer within {WITHIN:g} s"),
        slow("hang", f"no whole answer within {WITHIN:g} s"),
    ],
)
def test_what_was_not_taken_is_sent_again_under_the_same_id(
    start: StartQuick, receiver: Receiver, config: Path, answer: int | str, why: str
) -> None:
    receiver.answer = answer
    manager = start(receiver.url)
    began = time.monotonic()
    write(config, 2)
    assert manager.reload()
    assert time.monotonic() - began < WITHIN, "no reload waits for it"
    eventually(lambda: told_by(manager)["error"], "a failure")
    assert told_by(manager)["error"].startswith(why)
    receiver.answer = 200
    told = delivered(manager, 2)
    assert (told["pending"], told["error"], told["dropped"]) == (0, "", 0)
    assert told["failed"] >= 1
    first = [each for each in receiver.got if each.id == receiver.got[0].id]
    assert len(first) >= 2
    assert len({each.body for each in first}) == 1
    assert receiver.unverified == []


def test_an_answer_that_is_good_is_good_whatever_its_body_does(start: StartQuick, receiver: Receiver) -> None:
    receiver.answer = "slow"
    manager = start(receiver.url)
    assert delivered(manager, 1)["failed"] == 0
    assert len(receiver.got) == 1


def test_a_redirect_is_a_failure_and_the_other_host_sees_nothing(
    start: StartQuick, receiver: Receiver, capfd: pytest.CaptureFixture[str]
) -> None:
    with receiving() as other:
        receiver.answer = lambda got: (307, {"Location": f"{other.url}?token=hunter2"})
        manager = start(receiver.url)
        receiver.await_got(3)
        receiver.answer = lambda got: (302, {"Location": "/elsewhere"})
        receiver.await_got(5)
        error = told_by(manager)["error"]
        assert error.endswith(", a redirect, which is not followed: give the URL to which it leads")
        assert other.got == []
    assert {each.path for each in receiver.got} == {"/hook"}
    manager.close()
    said = capfd.readouterr().err
    assert "hunter2" not in said
    assert said.count("does not take a message") == 1, "it is logged once, not at each try"


def test_a_receiver_that_is_down_gets_all_when_it_is_back(start: StartQuick, config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    manager = start(f"http://127.0.0.1:{port}/hook")
    for number in range(2, 6):
        write(config, number)
        assert manager.reload()
    eventually(lambda: told_by(manager)["error"] == "Connection refused", "a failure")
    eventually(lambda: told_by(manager)["pending"] == 5, "all are owed")
    with receiving(port) as receiver:
        delivered(manager, 5)
        assert {each.told["data"]["version"] for each in receiver.got} == {1, 2, 3, 4, 5}


def test_one_message_that_is_refused_holds_up_no_other(start: StartQuick, receiver: Receiver, config: Path) -> None:
    receiver.answer = lambda got: 400 if got.told["data"]["version"] == 1 else 200
    manager = start(receiver.url)
    receiver.await_got(2)
    write(config, 2)
    assert manager.reload()
    assert delivered(manager, 1)["pending"] == 1
    receiver.answer = 200
    assert delivered(manager, 2)["pending"] == 0


def test_a_receiver_that_asks_to_be_left_alone_is(start: StartQuick, receiver: Receiver, config: Path) -> None:
    receiver.answer = (429, {"Retry-After": "600"})
    manager = start(receiver.url)
    eventually(lambda: told_by(manager)["next_try"], "the time of the next try")
    write(config, 2)
    assert manager.reload()
    eventually(lambda: told_by(manager)["pending"] == 2, "both are owed")
    assert 500 < told_by(manager)["next_try"] - time.time() <= 600
    assert len(receiver.got) == 1
    dead = kill_the_owner(manager)
    await_the_next(manager, dead)
    assert manager.reload()
    assert (len(receiver.got), told_by(manager)["pending"]) == (1, 2), "the next owner keeps to it"


def test_status_names_each_webhook_that_takes_nothing_or_has_lost_something(
    start: StartQuick, receiver: Receiver, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runner(capsys)
    with receiving() as gone:
        manager = start(gone.url, receiver.url, "http://127.0.0.1:1/hunter2")
        at = ("--address", manager.address)
        delivered(manager, 1)
        gone.answer, receiver.answer = 410, (503, {"Retry-After": "600"})
        write(config, 2)
        assert manager.reload()
        eventually(lambda: told_by(manager, 0)["gone"] and told_by(manager, 1)["next_try"], "that both have failed")
    code, out, _ = run("status", *at)
    first, second, third = (line for line in out.splitlines() if line.startswith("webhook"))
    assert code == 0
    assert first.startswith(f"webhook  1, http://127.0.0.1:{gone.server_port}/***: answers with status 410, so it")
    assert first.endswith("; the server's next start tries it again; dropped: 1")
    again = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d"
    assert re.fullmatch(rf"webhook  2, .*: answers with status 503; waiting: 1, tried again at {again}", second)
    assert third.startswith("webhook  3, http://127.0.0.1:1/***: Connection refused; waiting: 2")
    told = json.loads(run("status", *at, "--json")[1])["webhooks"]
    assert [each["delivered"] for each in told] == [1, 1, 0]


def test_gone_ends_it_until_the_server_is_started_again(
    start: StartQuick, receiver: Receiver, config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver.answer = lambda got: 410 if got.told["data"]["version"] == 2 else 200
    manager = start(receiver.url, state_dir=tmp_path / "state")
    delivered(manager, 1)
    write(config, 2)
    assert manager.reload()
    eventually(lambda: told_by(manager)["gone"], "its end")
    write(config, 3)
    assert manager.reload()
    dead = kill_the_owner(manager)
    await_the_next(manager, dead)
    write(config, 4)
    assert manager.reload()
    told = told_by(manager)
    assert (told["pending"], told["dropped"], told["error"]) == (
        0,
        1,
        "answers with status 410, so it wants no more",
    )
    manager.close()
    assert len(receiver.got) == 2
    assert "it is sent nothing until the server is started again; messages dropped: 1" in capfd.readouterr().err
    write(config, 5)
    start(receiver.url, state_dir=tmp_path / "state")
    assert receiver.await_got(3)[2].told["data"]["version"] == 5


# ---- owners come and go


def test_an_owner_that_dies_before_it_has_noted_it_sends_it_again_under_the_same_id(
    start: StartQuick, receiver: Receiver, config: Path
) -> None:
    manager = start(receiver.url)
    delivered(manager, 1)

    def killing(got: Got) -> int:
        if len(receiver.got) == 2:
            os.kill(manager.owner_pid, signal.SIGKILL)
        return 200

    receiver.answer = killing
    dead = manager.owner_pid
    write(config, 2)
    assert manager.reload()
    eventually(lambda: not is_running(dead), "its death")
    await_the_next(manager, dead)
    told = delivered(manager, 2)
    assert [each.told["data"]["version"] for each in receiver.got] == [1, 2, 2]
    assert receiver.got[1].id == receiver.got[2].id
    assert receiver.got[1].body == receiver.got[2].body
    assert told["pending"] == 0


def test_what_is_owed_outlives_a_stop_where_the_journal_does(
    start: StartQuick, receiver: Receiver, config: Path, tmp_path: Path
) -> None:
    receiver.answer = 500
    manager = start(receiver.url, state_dir=tmp_path / "state")
    write(config, -1)
    assert not manager.reload()
    eventually(lambda: told_by(manager)["pending"] == 2, "both are owed")
    manager.close()
    receiver.answer, before = 200, len(receiver.got)
    write(config, 1)
    manager = start(receiver.url, state_dir=tmp_path / "state")
    delivered(manager, 2)
    assert sorted(each.type for each in receiver.got[before:])[:2] == ["refused", "settled"]


def test_a_stop_says_what_was_not_sent_also_of_what_it_comes_right_after(
    start: StartQuick, receiver: Receiver, config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    receiver.answer = 500
    manager = start(receiver.url)
    receiver.await_got(1)
    write(config, 2)
    assert manager.reload()
    manager.close()
    assert "end with the server, since it has no state_dir: 2" in capfd.readouterr().err


def test_the_next_generation_delivers_what_the_one_before_owed_and_that_one_nothing_more(
    start: StartQuick, receiver: Receiver, config: Path
) -> None:
    receiver.answer = 500
    manager = start(receiver.url)
    write(config, 2)
    assert manager.reload()
    eventually(lambda: told_by(manager)["pending"] == 2, "both are owed")
    manager.pause()
    following: Manager = EmbeddedManager(
        ConfigLoader(SCHEMA, config), watch=False, probation=0, webhooks=[Webhook(receiver.url, KEY)]
    )
    with following.succeed(manager).start():
        before = len(receiver.got)
        receiver.answer = 200
        delivered(following, 2)
        assert {each.told["data"]["version"] for each in receiver.got[before:]} == {1, 2}
        assert told_by(manager)["delivered"] == 0, "the former one is paused"
        write(config, 3)
        assert following.reload()
        delivered(following, 3)


# ---- the start


def test_a_secret_that_can_t_be_used_fails_the_start_in_words(
    start: StartQuick, receiver: Receiver, tmp_path: Path
) -> None:
    file = tmp_path / "hook"
    for content, why in ((None, "it can't be read: No such file"), ("hunter2", "'whsec_' and 24 to 64 random bytes")):
        if content is not None:
            file.write_text(content)
        with pytest.raises(ConfcastError) as found:
            start(webhooks=[Webhook(receiver.url, file)])
        assert str(found.value).startswith(f"webhooks: 1, http://127.0.0.1:{receiver.server_port}/***: {file}: {why}")
        assert "hunter2" not in str(found.value)


def test_without_webhooks_the_owner_has_nothing_of_them(start: StartQuick, config: Path) -> None:
    manager = start()
    write(config, 2)
    assert manager.reload()
    assert manager.get_stats()["webhooks"] == []
    maps = Path(f"/proc/{manager.owner_pid}/task")
    names = {(each / "comm").read_text().strip() for each in maps.iterdir()}
    assert not {name for name in names if "webhook" in name}
