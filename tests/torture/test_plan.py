"""Plans: a seed repeats them, and each act, door and verb comes to its turn."""

from __future__ import annotations

import collections
import itertools

import pytest

import confcast
from confcast.admin import table
from confcast.cli.commands import COMMANDS
from tests.torture import doors
from tests.torture.acts_on_files import ActsOnFiles
from tests.torture.acts_on_fleet import ActsOnFleet
from tests.torture.acts_on_processes import ActsOnProcesses
from tests.torture.acts_on_storage import ActsOnStorage
from tests.torture.content import LISTENS
from tests.torture.plan import MAKERS, Step, Terrain, plan

NO_VERBS = {"serve", "exec", "admin", "fleet"}
"""Commands that are programs of their own; one of them, `exec`, is called all the same."""
NO_ACTS = {"find", "is_stopped", "kill_surely", "mend", "recorded"}


def test_a_seed_repeats_its_steps_and_another_one_has_others():
    assert plan(7, 30.0) == plan(7, 30.0)
    assert plan(7, 30.0) != plan(8, 30.0)


def test_a_longer_run_begins_as_a_shorter_one():
    shorter = plan(7, 20.0)
    begun = [step for step in plan(7, 40.0) if step.at < 10.0]
    assert begun == [step for step in shorter if step.at < 10.0]


def test_a_thousand_plans_have_every_act_of_every_role_and_every_verb_by_every_door():
    roles = ("owner", "worker", "admin", "gateway", "engine")
    terrain = Terrain(root=False, master_survives=True, fleet=True, roles=roles)
    steps = [step for seed in range(1000) for step in plan(seed, 12.0, terrain)]

    assert {step.act for step in steps} == {*_acts(), "call"}
    killed = {(step.act, step.role) for step in steps if step.act in ("kill", "stop")}
    assert killed == {(act, role) for act in ("kill", "stop") for role in (*roles, "master")}
    assert {step.role for step in steps if step.act == "start_again"} == {"admin", "gateway", "engine", "master"}
    called = {(str(step.arguments["door"]), str(step.arguments["verb"])) for step in steps if step.act == "call"}
    assert called == {
        *(("client", verb) for verb in doors.CLIENT),
        *(("cli", verb) for verb in doors.COMMANDS),
        *(("admin", verb) for verb in doors.ROUTES),
    }


def _acts() -> set[str]:
    """The public methods of the acts."""
    kinds = (ActsOnFiles, ActsOnProcesses, ActsOnStorage, ActsOnFleet)
    return {name for kind in kinds for name in vars(kind) if not name.startswith("_")} - NO_ACTS


def test_a_change_comes_as_soon_as_a_worker_is_replaced():
    steps = [step for seed in range(20) for step in plan(seed, 30.0)]
    changes = [step for step in steps if step.arguments.get("once_replaced")]
    assert {step.arguments["verb"] for step in changes} == {"reload", "set"}
    deaths = {step.at for step in steps if (step.act, step.role) == ("kill", "worker")}
    assert {step.at for step in changes} <= deaths
    bare = [step for seed in range(20) for step in plan(seed, 30.0, Terrain(roles=("owner",)))]
    assert not any(step.arguments.get("once_replaced") for step in bare)


def test_some_contents_meet_a_guard_and_some_have_a_value_that_needs_a_restart():
    steps = [step for seed in range(20) for step in plan(seed, 30.0)]
    written = [step.arguments for step in steps if step.act == "write"]
    assert {each.get("listens", LISTENS) for each in written} == {LISTENS, 2, 3}
    assert 0 < sum(bool(each.get("empty")) for each in written) < len(written) / 4
    allowing = {(step.arguments["verb"], step.arguments["door"]) for step in steps if step.arguments.get("allow")}
    assert allowing == {("reload", door) for door in ("client", "cli", "admin")}


def test_no_public_verb_is_forgotten():
    public = {name for name in dir(confcast.Client) if not name.startswith("_")}
    assert {name for name in public if not (name.startswith("a") and name.rstrip("_")[1:] in public)} == {
        *doors.CLIENT.values()
    }
    assert {*COMMANDS} - NO_VERBS == {*doors.COMMANDS} - NO_VERBS
    routes = {route.path.removeprefix("/v1/") for route in (*table.READS, *table.CHANGES)}
    assert routes | {"events"} == {*doors.ROUTES}


def test_no_number_of_a_content_comes_twice_unless_the_whole_content_does():
    contents = collections.defaultdict[object, set[tuple[object, ...]]](set)
    for step in plan(3, 300.0):
        if "serial" in step.arguments:
            given = step.arguments
            contents[given["serial"]].add(tuple(given.get(name) for name in ("veto", "harm", "padding", "what")))
    assert len(contents) > 200
    assert all(len(each) == 1 for each in contents.values())


@pytest.mark.parametrize("ends", ["go_on", "free_disk", "complete", "rename_back", "probe_says_yes"])
def test_what_is_begun_is_ended_once(ends: str):
    begins = {"go_on": "stop", "free_disk": "fill_disk", "complete": "cut", "rename_back": "rename_away"}
    begins["probe_says_yes"] = "probe_says_no"
    steps = plan(5, 300.0)
    begun, ended = _pairs(steps, begins[ends]), _pairs(steps, ends)
    assert begun
    assert begun.keys() == ended.keys()
    assert all(ended[pair] > at for pair, at in begun.items())


def test_the_file_is_in_one_acts_hands_at_a_time():
    """Between the two parts of an act on it nothing else is done to it."""
    on_it = [step for step in plan(5, 300.0) if hasattr(ActsOnFiles, step.act)]
    for step, following in itertools.pairwise(on_it):
        if step.act in ("cut", "rename_away"):
            assert following.arguments.get("pair") == step.arguments["pair"]


def _pairs(steps: list[Step], act: str) -> dict[object, float]:
    return {step.arguments["pair"]: step.at for step in steps if step.act == act}


def test_a_site_that_lacks_something_is_spared_it():
    bare = Terrain(roles=("owner", "worker"), doors=("client",), hup=False)
    steps = [step for seed in range(50) for step in plan(seed, 30.0, bare)]
    assert not {step.act for step in steps} & {"hup", "publish", "take_over"}
    assert "admin" not in {step.role for step in steps}
    assert ("kill", "master") not in {(step.act, step.role) for step in steps}
    assert {step.arguments["door"] for step in steps if step.act == "call"} == {"client"}


def test_each_thing_that_a_phase_may_draw_is_drawn_by_a_method_of_its_name():
    assert {name: maker.__name__ for name, maker in MAKERS.items()} == {name: name for name in MAKERS}


def test_a_server_that_takes_two_deaths_for_a_crash_loop_has_them_apart():
    steps = [step for step in plan(5, 300.0, Terrain(deaths_apart=8.0)) if (step.act, step.role) == ("kill", "worker")]
    assert len(steps) > 5
    assert min(after.at - before.at for before, after in itertools.pairwise(steps)) > 7.9
