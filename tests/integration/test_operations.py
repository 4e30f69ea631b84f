"""What a person changes in a running server: back to a version, held, resumed; values set; tried; in real processes."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from confcast import ConfigLoader, ReloadEvent, ReloadResult
from confcast.master.embedded import EmbeddedManager
from tests.integration.test_generations import successor
from tests.support.commands import runner
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.killing import PLACES, Killing
from tests.support.leaks import is_running
from tests.support.owners import await_the_next, kill_the_owner
from tests.support.passing import Passing
from tests.support.resting import assert_rests
from tests.support.settings import Limits, write
from tests.support.slow import slow
from tests.support.waiting import LONG, eventually, history_of, in_thread
from tests.support.workers import Worker

SUCCESS, UNCHANGED, HELD = ReloadResult.SUCCESS, ReloadResult.UNCHANGED, ReloadResult.HELD


@pytest.fixture
def workers(manager: Manager, start_worker: StartWorker) -> list[Worker]:
    """Two."""
    return [start_worker(manager) for _ in range(2)]


def loads(manager: Manager, config: Path, *numbers: int) -> None:
    for number in numbers:
        write(config, number)
        assert manager.reload()


def reads(workers: list[Worker]) -> set[tuple[int, int]]:
    """Version and number, in each worker."""
    return {worker.ask("read") for worker in workers}


def held(manager: Manager) -> Any:
    return manager.get_stats()["held"]


# ---- back, held, resumed


def test_going_back_twice_goes_back_two_versions(manager: Manager, workers: list[Worker], config: Path) -> None:
    loads(manager, config, 2, 3, 4)
    event = manager.rollback(reason="out of memory")
    assert (event.result, event.version, event.reason, event.origin) == (SUCCESS, 5, "out of memory", "rollback")
    assert [(change.key, change.old, change.new) for change in event.changes] == [("number", 4, 3), ("twin", 4, 3)]
    assert reads(workers) == {(5, 3)}
    assert manager.rollback().version == 6
    assert reads(workers) == {(6, 2)}
    assert manager.rollback(version=4)
    assert reads(workers) == {(7, 4)}
    assert held(manager)["version"] == 4
    newest = manager.versions()[0]
    assert (newest.origin, newest.good, newest.who and newest.who.pid) == ("rollback", True, os.getpid())


def test_what_is_held_stays_until_somebody_resumes(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    """A call, a HUP, a changed file, and the death of the owner."""
    manager = start_manager(watch=True)
    worker = start_worker(manager)
    loads(manager, config, 2)
    assert manager.rollback()
    assert manager.reload().result is HELD
    os.kill(manager.owner_pid, signal.SIGHUP)
    write(config, 3)
    event = eventually(lambda: [e for e in history_of(manager) if e.result is HELD and not e.who], "it is told")[0]
    assert [(change.key, change.new) for change in event.changes] == [("number", 3), ("twin", 3)]
    dead = kill_the_owner(manager)
    eventually(lambda: manager.owner_pid != dead, "the next owner")
    event = manager.reload()
    assert (event.result, event.version) == (HELD, 3)
    assert worker.ask("read") == (3, 1)
    watched = [e for e in history_of(manager) if e.origin in ("watch", "restart", "signal") and e.result is HELD]
    assert len(watched) == 1, "each change is told once"
    assert held(manager)["version"] == 1
    event = manager.resume(reason="mended")
    assert (event.result, event.version, event.origin) == (SUCCESS, 4, "resume")
    assert worker.ask("await_number", 3) == 4
    assert held(manager) is None
    loads(manager, config, 4)


def test_a_resumption_is_refused_by_a_bad_file_and_the_version_stays_held(
    manager: Manager, workers: list[Worker], config: Path
) -> None:
    loads(manager, config, 2)
    assert manager.rollback()
    config.write_text("number: [\n")
    assert manager.resume().result is ReloadResult.VALIDATION_FAILED
    assert held(manager)["version"] == 1
    write(config, 1)
    assert manager.resume().result is UNCHANGED
    assert held(manager) is None
    assert reads(workers) == {(3, 1)}


def test_a_worker_refuses_the_way_back(manager: Manager, workers: list[Worker], config: Path) -> None:
    loads(manager, config, 2)
    workers[0].ask("object_to", "the index is of 2")
    event = manager.rollback()
    assert event.result is ReloadResult.REJECTED
    assert "the index is of 2" in str(event.error_message)
    assert held(manager) is None
    assert reads(workers) == {(2, 2)}


def test_silence_does_not_refuse_it(
    passing: Passing, start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(silent="refuse")
    worker = start_worker(manager)
    loads(manager, config, 2)
    worker.signal(signal.SIGSTOP)
    event = passing.over_silence(manager, manager.rollback, worker.pid)
    assert event.result is ReloadResult.PARTIAL
    assert [status.pid for status in event.lagging] == [worker.pid]
    worker.signal(signal.SIGCONT)
    assert worker.ask("await_number", 1) == 3


def test_a_source_that_hangs_does_not_hold_it_up(
    passing: Passing, manager: Manager, start_worker: StartWorker, config: Path, gate: Any
) -> None:
    """The thread that loads hangs in it; what is kept needs no load."""
    worker = start_worker(manager)
    loads(manager, config, 2)
    gate.hold_load(config, 3, manager.request_reload)
    passing.by(LONG, manager)
    eventually(lambda: history_of(manager)[0].result is ReloadResult.IO_ERROR, "the load is given up")
    assert manager.rollback().result is SUCCESS
    assert worker.ask("read") == (3, 1)
    gate.open()
    gate.let_go()


def test_the_barrier_holds_under_load(manager: Manager, workers: list[Worker], config: Path) -> None:
    """Once it has returned, every read in every worker is of the version that was put back, or of a newer one."""
    loads(manager, config, 2)
    for worker in workers:
        worker.ask("begin_reading", 2)
    for _ in range(8):
        assert manager.rollback(version=1)
        assert {number for _, number in reads(workers)} == {1}
        assert manager.resume()
        assert {number for _, number in reads(workers)} == {2}
    assert [worker.ask("end_reading") for worker in workers] == [[], []]


def test_one_that_is_not_kept_or_of_another_schema_says_so(
    start_manager: StartManager, config: Path, tmp_path: Path
) -> None:
    manager = start_manager(state_dir=tmp_path / "state")
    event = manager.rollback(version=99)
    assert (event.result, event.version) == (ReloadResult.VALIDATION_FAILED, 1)
    assert "version 99" in str(event.error_message)
    assert "no good version before" in str(manager.rollback().error_message)
    manager.close()
    (other := tmp_path / "limits.toml").write_text("low = 7\n")
    with EmbeddedManager(ConfigLoader(Limits, other), watch=False, state_dir=tmp_path / "state") as later:
        text = str(later.rollback(version=1).error_message)
        assert "under another schema" in text
        assert "number" in text, "which fields differ"


def test_a_hold_outlives_a_stop_and_a_start_with_a_broken_file(
    start_manager: StartManager, config: Path, tmp_path: Path
) -> None:
    manager = start_manager(state_dir=tmp_path / "state")
    loads(manager, config, 2)
    assert manager.rollback()
    manager.close()
    config.write_text("number: [\n")
    later = start_manager(state_dir=tmp_path / "state")
    assert later.current.number == 1
    assert held(later)["version"] == 1
    write(config, 3)
    assert later.reload().result is HELD
    assert later.resume()
    assert later.current.number == 3


def test_a_hold_outlives_a_full_reload(start_manager: StartManager, config: Path, tmp_path: Path) -> None:
    manager = start_manager(state_dir=tmp_path / "state")
    loads(manager, config, 2)
    assert manager.rollback()
    manager.pause()
    with successor(manager, config, state_dir=tmp_path / "state").start() as following:
        manager.close()
        assert held(following)["version"] == 1
        assert following.reload().result is HELD
        assert following.current.number == 1


def test_a_forced_reload_passes_a_hold_and_wants_a_reason(manager: Manager, config: Path) -> None:
    loads(manager, config, 2)
    assert manager.rollback()
    with pytest.raises(ValueError, match="reason"):
        manager.reload(force=True)
    event = manager.reload(force=True, reason="the fix must be out")
    assert (event.result, event.version, event.reason) == (SUCCESS, 4, "the fix must be out")
    assert held(manager) is None


# ---- two people


def test_of_two_operators_who_expect_one_version_one_is_told_of_the_other(
    manager: Manager, workers: list[Worker]
) -> None:
    first = in_thread(lambda: manager.set({"number": 7, "twin": 7}, expect=1))
    second = in_thread(lambda: manager.set({"number": 8, "twin": 8}, expect=1))
    events: list[ReloadEvent] = [first(), second()]
    assert {event.result for event in events} == {SUCCESS, ReloadResult.CONFLICT}
    (winner,) = [event for event in events if event]
    assert reads(workers) == {(2, next(change.new for change in winner.changes if change.key == "number"))}
    assert manager.version == 2


# ---- values that are set


def test_a_value_is_set_and_unset_in_all_workers(manager: Manager, workers: list[Worker], config: Path) -> None:
    event = manager.set({"number": "7", "twin": 7}, reason="too many requests")
    assert (event.result, event.origin, event.reason) == (SUCCESS, "set", "too many requests")
    assert reads(workers) == {(2, 7)}
    loads(manager, config, 3)
    assert reads(workers) == {(2, 7)}, "what is set is above the file"
    assert manager.unset(["number", "twin"]).result is SUCCESS
    assert reads(workers) == {(3, 3)}


def test_a_value_that_does_not_fit_or_that_a_worker_refuses_is_nowhere(
    manager: Manager, workers: list[Worker], config: Path
) -> None:
    assert manager.set({"number": "many"}).result is ReloadResult.VALIDATION_FAILED
    assert "did you mean" in str(manager.set({"nummber": 3}).error_message)
    assert manager.unset(["number"]).result is ReloadResult.VALIDATION_FAILED
    workers[1].ask("object_to", "7 is too many")
    assert manager.set({"number": 7, "twin": 7}).result is ReloadResult.REJECTED
    workers[1].ask("object_to", "")
    assert manager.get_stats()["overrides"] == []
    assert manager.reload().result is UNCHANGED
    assert reads(workers) == {(1, 1)}


def test_what_is_set_outlives_its_owner_and_a_stop(
    start_manager: StartManager, start_worker: StartWorker, config: Path, tmp_path: Path
) -> None:
    manager = start_manager(state_dir=tmp_path / "state")
    worker = start_worker(manager)
    assert manager.set({"number": 7, "twin": 7})
    kill_the_owner(manager)
    assert manager.reload().result is UNCHANGED
    assert worker.ask("read") == (2, 7)
    worker.ask("close")
    manager.close()
    later = start_manager(state_dir=tmp_path / "state")
    assert later.current.number == 7
    assert [each["key"] for each in later.get_stats()["overrides"]] == ["number", "twin"]


def test_values_are_set_on_top_of_what_is_held(manager: Manager, workers: list[Worker], config: Path) -> None:
    loads(manager, config, 2)
    assert manager.rollback()
    write(config, 9)
    assert manager.set({"name": "emergency"}).result is SUCCESS
    assert reads(workers) == {(4, 1)}
    assert manager.current.name == "emergency"
    assert manager.reload().result is HELD
    assert manager.unset(["name"])
    assert (manager.current.name, manager.current.number) == ("one", 1)
    assert manager.resume()
    assert reads(workers) == {(6, 9)}


def test_a_way_back_takes_the_overrides_of_its_version(manager: Manager, workers: list[Worker]) -> None:
    assert manager.set({"number": 7, "twin": 7})
    assert manager.set({"number": 8, "twin": 8})
    assert manager.rollback()
    assert reads(workers) == {(4, 7)}
    assert [each["value"] for each in manager.get_stats()["overrides"]] == [7, 7]
    assert manager.resume().result is UNCHANGED
    assert manager.unset(["number", "twin"])
    assert reads(workers) == {(5, 1)}


def test_the_time_of_a_value_ends_though_the_file_is_broken(
    passing: Passing, manager: Manager, workers: list[Worker], config: Path
) -> None:
    """What its sources gave is kept with the version."""
    assert manager.set({"number": 7, "twin": 7}, ttl=LONG, reason="for now")
    assert reads(workers) == {(2, 7)}
    config.write_text("number: [\n")
    passing.by(LONG, manager)
    assert [worker.ask("await_number", 1) for worker in workers] == [3, 3]
    event = eventually(lambda: [e for e in history_of(manager) if e.origin == "expiry"], "its event, after both")[0]
    assert (event.result, event.version) == (SUCCESS, 3)
    assert manager.get_stats()["overrides"] == []


@pytest.mark.slow
def test_who_goes_back_from_the_end_of_a_value_keeps_it(start_manager: StartManager, config: Path) -> None:
    """Its end is on probation. Without: it ends again at once."""
    manager = start_manager(probation=60.0)
    assert manager.set({"number": 7, "twin": 7}, ttl=2.0)
    write(config, 1, name="two")
    assert manager.reload()
    assert manager.confirm()
    eventually(lambda: manager.versions()[0].origin == "expiry", "its end")
    assert manager.status().provisional == "probation"
    assert manager.rollback()
    manager.set({"name": "three"})
    assert (manager.current.number, manager.current.name, manager.versions()[0].origin) == (7, "three", "set")
    assert [each["key"] for each in manager.get_stats()["overrides"]] == ["name"]


def test_a_time_that_ends_while_no_owner_lives_has_ended_with_the_next(
    passing: Passing, start_manager: StartManager, start_worker: StartWorker
) -> None:
    manager = start_manager(supervise="caller")
    worker = start_worker(manager)
    assert manager.set({"number": 7, "twin": 7}, ttl=LONG)
    dead = kill_the_owner(manager)
    passing.meanwhile(LONG)
    await_the_next(manager, dead)
    worker.ask("await_number", 1)


# ---- dry runs


def test_a_dry_run_leaves_no_trace(manager: Manager, workers: list[Worker], config: Path) -> None:
    before, history, versions = manager.get_stats(), manager.get_event_history(), manager.versions()
    for worker in workers:
        worker.ask("observe")
    write(config, 2)
    event = manager.check()
    assert (event.result, event.dry_run, event.version) == (SUCCESS, True, 1)
    assert [change.key for change in event.changes] == ["number", "twin"]
    workers[0].ask("object_to", "no room for 2")
    event = manager.check()
    assert event.result is ReloadResult.REJECTED
    assert "no room for 2" in str(event.error_message)
    config.write_text("number: [\n")
    assert manager.check().result is ReloadResult.VALIDATION_FAILED
    write(config, 1)
    assert manager.check().result is UNCHANGED
    assert manager.check(values={"number": 7, "twin": 7}).result is ReloadResult.REJECTED
    after = manager.get_stats()
    assert {name: after[name] for name in before if "reload" in name} == {
        name: before[name] for name in before if "reload" in name
    }
    assert (manager.get_event_history(), manager.versions()) == (history, versions)
    assert reads(workers) == {(1, 1)}
    assert [worker.ask("observed", 0) for worker in workers] == [[], []]
    workers[0].ask("object_to", "")
    write(config, 2)
    assert manager.reload()
    assert reads(workers) == {(2, 2)}


def test_a_file_is_tried_that_the_owner_can_not_read(
    manager: Manager, workers: list[Worker], config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its content travels, and messages name the place in the file that it would have."""
    write(proposed := tmp_path / "proposed.toml", 2)
    event = manager.check(files={config.name: proposed})
    assert (event.result, [change.new for change in event.changes]) == (SUCCESS, [2, 2])
    proposed.write_text("number = 3\ntwin = 'x'\n")
    event = manager.check(files={str(config): proposed})
    assert event.result is ReloadResult.VALIDATION_FAILED
    assert event.problems[0].location.endswith(f"{config.name}:2:8")
    assert "is no file of the sources" in str(manager.check(files={"other.toml": proposed}).error_message)
    with pytest.raises(FileNotFoundError):
        manager.check(files={config.name: tmp_path / "gone"})
    (large := tmp_path / "large").write_bytes(b"#" * 1_000_001)
    with pytest.raises(ValueError, match="more than 1000000 bytes"):
        manager.check(files={config.name: large})
    run = runner(capsys)
    write(proposed, 4)
    code, text, _ = run("check", "--address", manager.address, f"{config.name}={proposed}")
    assert (code, "would apply: number: 1 -> 4" in text) == (0, True)
    assert manager.rollback(version=1)
    assert manager.check(files={config.name: proposed}).result is SUCCESS, "what would come after the hold"
    assert reads(workers) == {(1, 1)}


def test_a_dry_run_does_not_keep_the_watcher_from_its_load(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(watch=True)
    worker = start_worker(manager)
    write(config, 2)
    manager.check()
    worker.ask("await_number", 2)


# ---- deaths


@pytest.fixture
def killing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Killing:
    """What kills the next owner at a place."""
    killing = Killing(tmp_path)
    killing.prepare(monkeypatch)
    return killing


QUICK_KILLS = [
    ("rollback", PLACES[1]),
    ("set", PLACES[0]),
    ("resume", PLACES[1]),
]
KILLS = [
    (verb, place) if (verb, place) in QUICK_KILLS else slow(verb, place)
    for verb in ("rollback", "set", "resume")
    for place in PLACES
]
"""Each operation at each place. Behind the journal they differ in nothing but their record: one of them is enough."""


@pytest.mark.parametrize(("verb", "place"), KILLS)
def test_an_owner_that_is_killed_there_loses_nothing_that_was_committed(
    killing: Killing, start_manager: StartManager, start_worker: StartWorker, config: Path, place: str, verb: str
) -> None:
    manager = start_manager(supervise="caller")
    workers = [start_worker(manager) for _ in range(2)]
    loads(manager, config, 2)
    if verb == "resume":
        assert manager.rollback()
    version = manager.version
    ask = {
        "rollback": lambda: manager.rollback(),
        "set": lambda: manager.set({"number": 7, "twin": 7}),
        "resume": lambda: manager.resume(),
    }[verb]
    dead = manager.owner_pid
    killing.order_at(place)
    event = ask()
    assert event.result in (ReloadResult.OWNER_UNAVAILABLE, SUCCESS)
    eventually(lambda: killing.struck and not is_running(dead), "the owner's death at its place")
    await_the_next(manager, dead)
    committed = place != PLACES[0]
    number = {"rollback": 1, "set": 7, "resume": 2}[verb] if committed else {"rollback": 2, "set": 2, "resume": 1}[verb]
    for worker in workers:
        worker.ask("await_number", number)
    stats = manager.get_stats()
    assert (stats["held"] is not None) == (committed if verb == "rollback" else verb == "resume" and not committed)
    assert bool(stats["overrides"]) == (verb == "set" and committed)
    assert reads(workers) == {(version + committed, number)}
    if verb != "resume" or committed:
        assert manager.resume()
    assert_rests(manager.owner_pid)


# ---- the command line


@pytest.mark.parametrize(
    "words", [("set", "number=\udcff"), *map(slow, [("set", "\udcff=7"), ("unset", "\udcff"), ("explain", "\udcff")])]
)
def test_a_word_that_is_no_text_is_a_mistake_and_no_traceback(
    manager: Manager, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """As the shell hands on bytes that are no UTF-8."""
    code, text, error = runner(capsys)(*words, "--address", manager.address, "--json")
    assert (code, list(json.loads(text))) == (2, ["error"])
    assert error == f"confcast {words[0]}: a text in the request is no UTF-8, or has half of a surrogate pair\n"


def test_each_command_is_carried_out_and_has_its_exit_code(
    manager: Manager, workers: list[Worker], config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runner(capsys)
    at = ("--address", manager.address)
    loads(manager, config, 2)
    code, text, _ = run("rollback", *at, "--reason", "a bad night")
    assert (code, text.splitlines()[0].split(" (")[0]) == (0, "success: version 2 -> 3")
    assert "  the content of version 1 is held from now on; `confcast resume` follows the sources again\n" in text
    code, text, _ = run("status", *at)
    assert "held     the content of version 1" in text
    code, text, _ = run("reload", *at)
    assert (code, text.splitlines()[0].split(" (")[0]) == (1, "held: nothing was changed, version 3 runs on")
    assert run("rollback", *at, "--expect", "1")[0] == 5
    code, text, _ = run("check", *at)
    assert (code, text.splitlines()[0]) == (0, "success: it would be applied; nothing was changed, version 3 runs")
    assert run("resume", *at)[0] == 0
    assert run("set", *at, "number=7", "twin=7", "--ttl", "10m")[0] == 0
    code, text, _ = run("status", *at)
    assert "set      number = 7" in text
    assert reads(workers) == {(5, 7)}
    with pytest.raises(SystemExit, match="2"):
        run("check", *at, "app.toml=no/such.toml")
    assert "error: no/such.toml can't be read: No such file or directory\n" in capsys.readouterr().err
    code, text, _ = run("check", *at, "--set", "number=x", "--json")
    assert (code, json.loads(text)["dry_run"]) == (1, True)
    assert run("unset", *at, "number", "twin")[0] == 0
    assert run("unset", *at, "number")[0] == 1
    code, text, _ = run("rollback", *at, "1", "--json")
    assert (code, json.loads(text)["origin"]) == (0, "rollback")
    assert run("reload", *at, "--force", "--reason", "out with it")[0] == 0
    assert reads(workers) == {(8, 2)}
