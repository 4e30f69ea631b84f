"""Where a value comes from, and what differs, as an owner tells it that serves meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from pathlib import Path

import pytest

from confcast import Change, ConfigError, Explanation, Shadowed
from tests.support.commands import Run, runner
from tests.support.fixtures import Manager
from tests.support.gate import Gate
from tests.support.passing import Passing
from tests.support.settings import text, write
from tests.support.waiting import LONG, in_thread


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], manager: Manager) -> Run:
    assert os.environ["CONFCAST_ADDRESS_APP"] == manager.address  # by which the command line finds it
    return runner(capsys)


def problems(error: ConfigError) -> list[tuple[str, str]]:
    return [(problem.key, problem.message) for problem in error.problems]


def test_a_key_is_explained_from_the_sources_and_what_is_set(manager: Manager, config: Path) -> None:
    write(config, 1, name="file")
    assert manager.explain("name") == Explanation(
        key="name",
        value="file",
        origin=f"{config}:3:8",
        default="one",
        type="str",
        since_version=1,
    )
    assert manager.set({"name": "set"}, ttl=100.0)
    found = manager.explain("name")
    assert (found.value, found.shadowed, found.since_version) == ("set", [Shadowed(f"{config}:3:8", "file")], 2)
    assert found.origin.startswith("set by uid ")
    assert found.expires is not None
    assert abs(found.expires - time.time() - 100) < 50


def test_an_unknown_key_is_an_error_with_a_hint(manager: Manager) -> None:
    with pytest.raises(ConfigError) as caught:
        manager.explain("limits.hihg")
    assert problems(caught.value) == [("limits.hihg", "the schema has no such key; did you mean limits.high?")]


def test_since_which_version_a_value_is_what_it_is(manager: Manager, config: Path) -> None:
    for number, name in ((2, "b"), (3, "b"), (4, "b")):
        write(config, number, name=name)
        assert manager.reload()
    assert manager.explain("name").since_version == 2
    assert manager.explain("number").since_version == 4
    assert manager.explain("tags").since_version == 1


def test_versions_what_runs_and_the_sources_are_compared(manager: Manager, config: Path) -> None:
    write(config, 2)
    assert manager.reload()
    write(config, 3)
    assert manager.diff() == [Change("number", 2, 3), Change("twin", 2, 3)]
    assert manager.diff(1) == [Change("number", 1, 3), Change("twin", 1, 3)]
    assert manager.diff(1, 2) == [Change("number", 1, 2), Change("twin", 1, 2)]
    assert manager.diff(2, "running") == []
    assert manager.diff("sources", 1)[0] == Change("number", 3, 1)
    with pytest.raises(ConfigError, match=r"version 7 in the journal .* is not kept"):
        manager.diff(7)
    with pytest.raises(ValueError, match="a version's number, 'running' or 'sources' is expected"):
        manager.diff(0)


def test_the_awaited_forms_answer_the_same(manager: Manager, config: Path) -> None:
    write(config, 2)

    async def ask() -> tuple[Explanation, list[Change]]:
        return await manager.aexplain("number"), await manager.adiff(1, "sources")

    assert asyncio.run(ask()) == (manager.explain("number"), manager.diff(1, "sources"))


def test_a_question_leaves_no_trace(manager: Manager, config: Path) -> None:
    before = (manager.get_stats(), manager.get_event_history(), manager.versions())
    write(config, 2)
    manager.diff()
    manager.explain("number")
    assert (manager.get_stats(), manager.get_event_history(), manager.versions()) == before
    assert manager.reload().version == 2


def test_refused_sources_are_said(manager: Manager, config: Path) -> None:
    config.write_text("number = true")
    for ask in (lambda: manager.explain("number"), manager.diff):
        with pytest.raises(ConfigError) as caught:
            ask()
        assert ("number", "Input should be a valid integer (got true)") in problems(caught.value)
    assert manager.diff(1, "running") == []


# ---- while a version is held


def test_what_is_held_is_explained_and_what_the_sources_say_beside_it(manager: Manager, config: Path) -> None:
    write(config, 2, name="second")
    assert manager.reload()
    write(config, 3, name="third")
    assert manager.reload()
    assert manager.rollback()
    found = manager.explain("name")
    assert (found.value, found.since_version, found.waiting) == ("second", 4, Shadowed(f"{config}:3:8", "third"))
    assert re.fullmatch(rf"version 2, put back by uid {os.getuid()} \(.*\), [-0-9]+ [0-9:]+", found.origin)
    assert manager.set({"name": "set"}, ttl=100.0)
    found = manager.explain("name")
    assert found.origin.startswith("set by uid ")
    assert found.expires is not None
    assert [(each.value, each.origin.split(",")[0]) for each in found.shadowed] == [("second", "version 2")]
    assert found.waiting is not None
    assert found.waiting.value == "set"  # it stays when a person resumes
    assert manager.resume()
    found = manager.explain("name")
    assert (found.waiting, found.problems, found.shadowed[0].origin) == (None, [], f"{config}:3:8")


def test_what_is_held_is_explained_while_the_sources_are_broken(manager: Manager, config: Path) -> None:
    write(config, 2)
    assert manager.reload()
    assert manager.rollback()
    config.write_text("number = true")
    found = manager.explain("number")
    assert (found.value, found.waiting) == (1, None)
    assert ("number", "Input should be a valid integer (got true)") in [(p.key, p.message) for p in found.problems]
    with pytest.raises(ConfigError) as caught:
        manager.explain("numbr")
    assert problems(caught.value) == [("numbr", "the schema has no such key; did you mean number?")]


def test_an_item_that_only_one_of_the_two_has(manager: Manager, config: Path) -> None:
    write(config, 1, tags=["a", "b"])
    assert manager.reload()
    write(config, 1, tags=["a", "b", "c"])
    assert manager.rollback(version=2)
    found = manager.explain("tags[2]")
    assert (found.value, found.origin) == (None, "absent")
    assert found.waiting == Shadowed(f"{config}:3:19", "c")
    write(config, 1, tags=["a"])
    found = manager.explain("tags[1]")
    assert (found.value, found.waiting) == ("b", Shadowed("absent", None))


def test_the_command_explains_what_is_held(manager: Manager, config: Path, run: Run) -> None:
    write(config, 2)
    assert manager.reload()
    assert manager.rollback(reason="OOM")
    lines = run("explain", "number")[1].splitlines()
    assert lines[0] == "number = 1"
    assert lines[1].startswith("  from     version 1, put back by uid ")
    assert lines[2] == f"  sources  2, {config}:1:10: waits for `confcast resume`"
    assert "  sources  the same, default" in run("explain", "name")[1].splitlines()
    config.write_text("number = true\ntwin = 1\n")
    code, out, _ = run("explain", "number")
    assert code == 0
    assert out.splitlines()[2:4] == [
        "  sources  refused, so that nothing can be resumed:",
        f"           {config}:1:10: number: Input should be a valid integer (got true)",
    ]


def test_a_load_that_hangs_holds_up_no_one_and_is_named(
    passing: Passing, manager: Manager, config: Path, gate: Gate
) -> None:
    gate.shut()
    write(config, 2, gate=str(gate.path))
    first, second = in_thread(lambda: manager.explain("number")), in_thread(manager.diff)
    gate.await_load()
    assert manager.get_stats()["version"] == 1
    assert manager.workers() == []
    passing.by(LONG, manager)
    for asked in (first, second):
        with pytest.raises(
            ConfigError, match=r"not answered within 10 s \(load_timeout\); a load waits for .*_pass_the_gate"
        ):
            asked()
    gate.open()
    gate.let_go()
    assert manager.diff(1, "running") == []
    assert manager.reload().version == 2


def test_the_command_explains(manager: Manager, config: Path, run: Run) -> None:
    write(config, 1, name="file")
    code, out, _ = run("explain", "name")
    assert code == 0
    assert out.splitlines() == [
        "name = 'file'",
        f"  from     {config}:3:8",
        "  runs     'one': version 1 runs, and the sources wait for `confcast reload`",
        "  default  'one'",
        "  type     str",
        "  since    version 1",
    ]
    assert manager.set({"limits.high": "7"})
    code, out, _ = run("explain", "limits.high", "--json")
    told = json.loads(out)["explanation"]
    assert (code, told["value"], told["default"], told["constraints"]) == (0, 7, 100, ["<= 1000"])
    code, out, _ = run("explain", "nam")
    assert (code, out) == (1, "nam: the schema has no such key; did you mean name?\n")


def test_the_command_lists_what_differs(config: Path, run: Run) -> None:
    assert run("diff")[:2] == (0, "nothing differs between what runs and the sources\n")
    write(config, 2)
    assert run("diff", "1")[:2] == (0, "number: 1 -> 2\ntwin: 1 -> 2\n")
    code, out, _ = run("diff", "--json")
    changes = [(each["key"], each["old"], each["new"]) for each in json.loads(out)["changes"]]
    assert (code, changes) == (0, [("number", 1, 2), ("twin", 1, 2)])
    code, out, _ = run("diff", "8")
    assert code == 1
    assert "is not kept" in out
    config.write_text(text(1).replace("1", "x"))
    assert run("diff")[0] == 1
