"""A server and a program as sources of a real owner: what they hold up, and what is used while they fail."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast import Command, ConfigError, ConfigLoader, Environment, Http, ReloadResult
from confcast.master.embedded import EmbeddedManager
from tests.support.config_server import ConfigServer, config_server, says
from tests.support.lives import lives_in
from tests.support.resting import assert_rests
from tests.support.sourced import Sourced
from tests.support.waiting import eventually, history_of, in_thread

SOON, LONG = 0.05, 600.0
Manager = EmbeddedManager[Sourced]


@pytest.fixture
def server() -> Iterator[ConfigServer]:
    with config_server('name = "first"\n', tag='"1"') as found:
        yield found


def managed(*sources: Any, **options: Any) -> Manager:
    return EmbeddedManager(ConfigLoader(Sourced, *sources), **{"probation": 0, **options})


def test_a_server_that_hangs_holds_neither_files_nor_reloads_beyond_its_timeout(
    server: ConfigServer, tmp_path: Path, nothing_is_left: None
) -> None:
    file = tmp_path / "app.toml"
    file.write_text("port = 1\n")

    def started() -> Manager | None:
        with contextlib.suppress(ConfigError):  # a busy machine's server has not answered in its time
            return managed(Http(server.url(), every=SOON, timeout=0.5), file).start()
        return None

    with contextlib.closing(eventually(started, "an answer in time")) as manager:
        server.script = server.hang
        server.await_requests(len(server.asked) + 2)  # a poll hangs
        file.write_text("port = 2\n")
        eventually(lambda: manager.current.port == 2, "the file is followed")
        assert manager.current.name == "first"
        (said,) = manager.status().stale
        assert said.startswith(f"{server.url()}: stale since 20")
        assert ": no whole answer within 0.5 s; what it gave at 20" in said
        server.script, server.body, server.tag = server.document, 'name = "second"\n', '"2"'
        eventually(lambda: manager.current.name == "second", "its return")
        eventually(lambda: not manager.status().stale, "that nothing is stale")


def test_a_call_asks_anew_and_once(server: ConfigServer, nothing_is_left: None) -> None:
    with managed(Http(server.url(), every=LONG)) as manager:
        assert len(server.asked) == 1
        server.body, server.tag = 'name = "second"\n', '"2"'
        assert manager.reload().version == 2
        server.script = says(404)
        event = manager.reload()
        assert (event.result, [str(each) for each in event.problems]) == (
            ReloadResult.FILE_NOT_FOUND,
            [f"{server.url()}: answers with status 404"],
        )
        assert len(server.asked) == 3
        assert manager.current.name == "second"


def test_a_start_needs_the_server_unless_its_last_document_is_kept(
    server: ConfigServer, tmp_path: Path, nothing_is_left: None
) -> None:
    source, state = Http(server.url(), every=LONG), tmp_path / "state"
    with managed(source, state_dir=state):
        pass
    server.script = says(503)
    with pytest.raises(ConfigError) as raised:
        managed(source).start()
    assert str(raised.value) == (
        f"{server.url()}: answers with status 503; what it gave before is not known (state_dir keeps it)"
    )
    with managed(source, state_dir=state) as manager:
        assert manager.current.name == "first"
        assert "stale since" in manager.status().stale[0]
    kept = list(state.glob("last_known-*"))
    assert [oct(each.stat().st_mode & 0o777) for each in kept] == ["0o600"]


def test_an_owner_that_is_restarted_knows_what_the_one_before_has_read(
    server: ConfigServer, nothing_is_left: None
) -> None:
    with managed(Http(server.url(), every=SOON)) as manager:
        server.script = says(503)
        before = manager.get_stats()["owner_pid"]
        os.kill(before, signal.SIGKILL)
        eventually(lambda: manager.status().stale, "the next owner, which says so")
        event = manager.reload()
        assert (event.result, manager.current.name) == (ReloadResult.UNCHANGED, "first")


def test_a_program_that_fails_says_why_without_a_secret_that_runs(tmp_path: Path, nothing_is_left: None) -> None:
    printed = tmp_path / "printed.json"
    printed.write_text(json.dumps({"name": "first", "token": "hunter2-hunter2"}))
    script = f"cat {printed} || {{ echo the token hunter2-hunter2 is wrong >&2; exit 3; }}"
    with managed(Command(["/bin/sh", "-c", script], format="json", every=SOON)) as manager:
        printed.unlink()
        eventually(lambda: history_of(manager)[0].problems, "the refusal")
        said = str(history_of(manager)[0].problems[0])
        assert said.startswith("/bin/sh …: exited with status 3: cat: ")
        assert said.endswith(" | the token ********** is wrong")
        assert manager.current.name == "first"


def test_a_program_that_hangs_ends_with_the_owner(tmp_path: Path, nothing_is_left: None) -> None:
    hangs = tmp_path / "hangs"
    with lives_in(tmp_path) as program:
        script = f"echo 'name = \"x\"'; if [ -e {hangs} ]; then exec 9>{program.path}; touch {hangs}.now; sleep 600; fi"
        with managed(Command(["/bin/sh", "-c", script], every=SOON, timeout=500)):
            hangs.touch()
            eventually((tmp_path / "hangs.now").exists, "a poll that hangs")
        program.await_end()


def test_a_paused_owner_polls_nothing_and_goes_on_with_what_it_missed(
    server: ConfigServer, nothing_is_left: None
) -> None:
    with managed(Http(server.url(), every=SOON)) as manager:
        server.await_requests(3)
        manager.pause()
        eventually(lambda: manager.status() and manager.reload().problems, "the pause")
        asked = len(server.asked)
        server.body, server.tag = 'name = "second"\n', '"2"'
        assert_rests(manager.get_stats()["owner_pid"])
        assert len(server.asked) <= asked + 1  # a poll may have been under way
        manager.unpause()
        eventually(lambda: manager.current.name == "second", "what was missed")
        server.await_requests(len(server.asked) + 2)


def test_without_watching_nothing_is_polled(server: ConfigServer, nothing_is_left: None) -> None:
    with managed(Http(server.url(), every=SOON), watch=False) as manager:
        assert_rests(manager.get_stats()["owner_pid"])
        assert len(server.asked) == 1


def test_an_owner_with_all_of_them_rests_between_polls(
    server: ConfigServer, tmp_path: Path, nothing_is_left: None
) -> None:
    file = tmp_path / "app.toml"
    file.write_text("port = 1\n")
    asked = [
        Http(server.url("/app.toml?n=1"), every=LONG),
        Http(server.url(), every=LONG),
        Command(["true"], every=LONG, allow_empty=True),
    ]
    with managed(file, *asked, Environment("SOURCED_")) as manager:
        assert_rests(manager.get_stats()["owner_pid"])
        file.write_text("port = 2\n")
        eventually(lambda: manager.current.port == 2, "the file is followed")
        before = len(server.asked)
        (tmp_path / "other").write_text("")  # an event, and no change
        assert_rests(manager.get_stats()["owner_pid"])
        assert len(server.asked) == before


def test_a_storm_of_changes_ends_with_the_last(server: ConfigServer, nothing_is_left: None) -> None:
    with managed(Http(server.url(), every=SOON)) as manager:
        for number in range(2, 202):
            server.body, server.tag = f"port = {number}\n", f'"{number}"'
        eventually(lambda: manager.current.port == 201, "the last one")
        stop = in_thread(lambda: [manager.reload() for _ in range(20)])
        server.body, server.tag = "port = 500\n", '"500"'
        stop()
        eventually(lambda: manager.current.port == 500, "the last one")
