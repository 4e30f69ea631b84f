"""`confcast fleet publish` as a process, with a real engine and hosts that follow it; killed, attached, and beaten."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from confcast.cli import main
from confcast.fleet.head import digest_of
from tests.integration.fleet.conftest import Servers
from tests.support.engines.redis import Redis
from tests.support.engines.server import Server
from tests.support.fleet.acts import payload
from tests.support.fleet.crowd import Crowd, spec
from tests.support.fleet.rollouts import Rollout
from tests.support.waiting import DEADLINE, eventually

FAST = {"bake": "0.3s", "max-lag": "10s"}


class Key(NamedTuple):
    """A key in an engine, and files to publish there.

    Attributes:
        server: The engine's.
        name: The key.
        folder: The files' folder.
    """

    server: Server
    name: str
    folder: Path

    def file(self, number: int, **shares: float) -> Path:
        path = self.folder / f"{number}.toml"
        path.write_bytes(payload(number, **shares))
        return path

    def rollout(self, number: int, shares: dict[str, float] | None = None, **options: str) -> Rollout:
        return Rollout(self.server.url, self.name, self.file(number, **shares or {}), **{**FAST, **options})

    def run(self, *words: str, code: int = 0) -> Any:
        """What a command says, as JSON, in this process; the last document of several."""
        out = io.TextIOWrapper(io.BytesIO(), "utf-8")
        with contextlib.redirect_stdout(out):
            assert main(["fleet", *words, "--to", self.server.url, "--key", self.name, "--json"]) == code
        out.seek(0)
        said = out.read()
        try:
            return json.loads(said)
        except json.JSONDecodeError:
            return json.loads(said.splitlines()[-1])

    def killed(self, program: str, *words: str) -> None:
        """Run a command by this program, which kills itself."""
        command = [sys.executable, "-c", program, "fleet", *words, "--to", self.server.url, "--key", self.name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=3 * DEADLINE, check=False)
        assert (done.returncode, done.stderr) == (-signal.SIGKILL, "")

    def what(self) -> list[str]:
        """The audit trail, oldest first."""
        return [each["what"] for each in reversed(self.run("history")["versions"])]


@pytest.fixture
def at(servers: Servers, key: str, tmp_path: Path) -> Key:
    programs = Redis.programs()
    if not programs:
        pytest.skip("there is no server of Redis: neither Debian's nor a wheel's")
    return Key(servers.shared(Redis, programs[0]), key, tmp_path)


@pytest.fixture
def crowd(at: Key) -> Iterator[Crowd]:
    """Twelve hosts, on the payload with the number 1."""
    at.run("publish", str(at.file(1)))
    with Crowd(spec("Redis", at.server.url, at.name), clocks=(0.0,)) as crowd:
        crowd.add(f"host-{number}" for number in range(12))
        crowd.await_running(digest_of(payload(1)))
        eventually(lambda: at.run("status")["hosts"] == 12, "the reports of all hosts")
        yield crowd


def test_a_good_version_goes_out_in_stages(at: Key, crowd: Crowd):
    with at.rollout(2, reason="bigger") as rollout:
        code, said = rollout.wait()
    assert (code, said[-1]["outcome"]) == (0, "promoted")
    crowd.await_running(digest_of(payload(2)))
    assert at.what() == ["publish", "publish", "widen", "widen", "promote"]
    stages = {(each["progress"]["name"], each["progress"]["meant"]) for each in said if each.get("progress")}
    assert stages == {("1 host", 1), ("10%", 1), ("100%", 12)}
    status = at.run("status")
    assert [(each["is"], each["hosts"], each["good"]) for each in status["versions"]] == [("stable", 12, 12)]


def test_a_version_that_hosts_refuse_is_stopped_and_all_go_back(at: Key, crowd: Crowd):
    with at.rollout(2, {"refuse": 100.0}) as rollout:
        code, said = rollout.wait()
    assert (code, said[-1]["outcome"]) == (1, "stopped")
    assert "refused it" in said[-1]["text"]
    crowd.await_running(digest_of(payload(1)))
    assert at.what() == ["publish", "publish", "stop"]
    assert at.run("status")["rollout"] is None


def test_no_stage_is_passed_on_the_silence_of_hosts_that_are_cut_off(at: Key):
    at.run("publish", str(at.file(1)))
    with Crowd(spec("Redis", at.server.url, at.name), clocks=(0.0, 0.0)) as crowd:
        crowd.add(f"host-{number}" for number in range(12))
        crowd.await_running(digest_of(payload(1)))
        eventually(lambda: at.run("status")["hosts"] == 12, "the reports of all hosts")
        silent = crowd.programs[:1]
        names = set(crowd.cut_off(silent))
        with at.rollout(2, stages="90%, 100%", **{"max-lag": "1s"}) as rollout:
            code, said = rollout.wait()
        assert (code, said[-1]["outcome"]) == (1, "stopped")
        assert "did not answer within 1 s" in said[-1]["text"]
        assert at.what() == ["publish", "publish", "stop"]
        crowd.let_in(silent)
        crowd.await_running(digest_of(payload(1)))
        assert not {each.host for each in crowd.events() if each.digest == digest_of(payload(2))} & names


def test_hosts_that_come_back_on_a_version_that_was_stopped_meanwhile_do_not_run_it(at: Key, crowd: Crowd):
    with at.rollout(2, stages="100%", bake="1h") as rollout:
        crowd.await_running(digest_of(payload(2)))
        gone = crowd.names[:6]
        crowd.end(gone)
        assert at.run("rollback", "--reason", "not today")["outcome"] == "rolled back"
        assert rollout.wait()[0] == 1
    back = time.monotonic_ns()
    crowd.begin(gone)
    crowd.await_running(digest_of(payload(1)))
    came = {each.digest for each in crowd.events() if each.at > back and each.host in gone}
    assert came == {digest_of(payload(1))}


def test_a_controller_that_is_killed_leaves_the_rollout_where_it_is_and_another_goes_on(at: Key, crowd: Crowd):
    with at.rollout(2, stages="1 host, 100%", bake="1s") as rollout:
        eventually(lambda: (at.run("status")["rollout"] or {}).get("good") == 1, "the first stage's host")
        rollout.kill()
    assert at.what() == ["publish", "publish"], "nothing widens by itself"
    assert at.run("publish", "--attach")["outcome"] == "promoted"
    crowd.await_running(digest_of(payload(2)))
    assert at.what() == ["publish", "publish", "widen", "promote"]


def test_a_person_ends_a_rollout_and_its_publisher_stands_down(at: Key, crowd: Crowd):
    with at.rollout(2, stages="1 host, 100%", bake="1h") as rollout:
        eventually(lambda: (at.run("status")["rollout"] or {}).get("good") == 1, "the first stage's host")
        assert at.run("confirm")["outcome"] == "confirmed"
        crowd.await_running(digest_of(payload(2)))
        assert at.run("rollback", "--reason", "not today")["outcome"] == "rolled back"
        code, said = rollout.wait()
    assert (code, said[-1]["end"], said[-1]["winner"]["why"]) == (1, "ended", "not today")
    crowd.await_running(digest_of(payload(1)))


def test_of_two_publishers_at_once_one_wins_and_the_other_exits_with_5_and_its_record(at: Key):
    head = at.run("publish", str(at.file(1)))["head"]
    both = [at.rollout(number, expect=head, stages="100%", bake="1h") for number in (2, 3)]
    with both[0], both[1]:
        conflict = eventually(
            lambda: next((each for each in both if each._process.poll() is not None), None), "a loser"
        )
        code, said = conflict.wait()
    assert code == 5
    winner = at.run("status")["head"]
    assert (said[-1]["head"], said[-1]["winner"]["id"]) == (winner["id"], winner["id"])
    assert at.what() == ["publish", "publish"]


KILLED = """if True:
    import os, signal, sys
    from confcast.fleet import engines
    real = engines.connect
    async def connect(*arguments):
        store = await real(*arguments)
        swap = store.swap
        async def killed(*arguments):
            if {arrives}:
                assert await swap(*arguments)
            os.kill(os.getpid(), signal.SIGKILL)
        store.swap = killed
        return store
    engines.connect = connect
    from confcast.cli import main
    main()
"""


@pytest.mark.parametrize("arrives", [False, True], ids=["between payload and head", "between head and answer"])
def test_a_publisher_that_was_killed_is_run_again(at: Key, arrives: bool):
    at.run("publish", str(at.file(1)))
    words = ("publish", str(at.file(2)), "--force", "--reason", "tests")
    at.killed(KILLED.format(arrives=arrives), *words)
    assert at.what() == (["publish", "force"] if arrives else ["publish"])
    assert at.run(*words)["outcome"] == ("unchanged" if arrives else "forced")
    assert at.what() == ["publish", "force"]
    assert at.run("status")["head"]["stable"] == digest_of(payload(2))


def test_ctrl_c_leaves_the_rollout_and_says_how_to_go_on(at: Key):
    at.run("publish", str(at.file(1)))
    command = [sys.executable, "-m", "confcast", "fleet", "publish", str(at.file(2))]
    with subprocess.Popen(
        [*command, "--to", at.server.url, "--key", at.name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("waiting"):
            assert process.poll() is None
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert said.startswith("confcast fleet publish: interrupted; a rollout stays")
    assert said.count("\n") == 1
    assert "`confcast fleet publish --attach`" in said
    assert at.run("status")["head"]["next"] == digest_of(payload(2))


def test_no_engine_there_exits_with_3(capsys: pytest.CaptureFixture[str]):
    assert main(["fleet", "status", "--from", "redis://deploy@127.0.0.1:1/0", "--key", "shop"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("confcast fleet status: redis://***@127.0.0.1:1/0: ")
