"""The checker: a good history passes, each rule finds what it is for by hand, and a near miss passes.

`BAD` has for each rule histories that it must refuse, and nothing else in them is wrong unless the case says so; `NEAR`
has what looks like it, and is excused or promised otherwise.
"""

from __future__ import annotations

import inspect
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.torture import checker
from tests.torture.bad_histories import BAD
from tests.torture.checker import RULES, check
from tests.torture.history import Call, Left, Record, Recorder, Request, Run, State, read
from tests.torture.near_misses import NEAR
from tests.torture.small_histories import WORKERS, Model, manned, requests_of, run

ROOT = Path(__file__).parents[2]


def named(cases: list[tuple[str, str, list[Record]]]) -> Any:
    return pytest.mark.parametrize(
        ("rule", "records"), [pytest.param(rule, records, id=f"{rule}: {name}") for rule, name, records in cases]
    )


def whole(rule: str, records: list[Record]) -> list[Record]:
    """With a beginning, and the options of a run that the other records have; without an end."""
    given = [] if any(isinstance(each, Run) for each in records) else [run()]
    return [*given, *([] if rule == "noticed" else manned(20.0)), *records]


def broken(rule: str, records: list[Record]) -> set[str]:
    found = {violation.rule for violation in check(whole(rule, records))}
    return found if rule == "came_to_rest" else found - {"came_to_rest"}


@named(BAD)
def test_a_rule_finds_what_it_is_for(rule: str, records: list[Record]):
    assert rule in broken(rule, records)


@named(NEAR)
def test_a_near_miss_passes(rule: str, records: list[Record]):
    assert rule not in broken(rule, records)


def test_each_rule_has_histories_that_it_refuses_and_near_misses():
    assert {rule for rule, _, _ in BAD} == RULES.keys()
    assert RULES.keys() - {rule for rule, _, _ in NEAR} <= {"left_behind"}


def test_each_rule_names_its_source_and_what_it_cannot_see():
    for rule in RULES.values():
        text = inspect.getdoc(rule) or ""
        assert "annot see" in text, rule
        assert any(source in text for source in ("G1", "G2", "G3", "G5", "G6", "G7", "DESIGN", "PROTOCOL")), rule


@pytest.mark.parametrize("seed", range(20))
def test_a_good_run_of_the_model_passes(seed: int):
    assert check(Model(seed).history) == []


MUTATIONS: dict[str, set[str]] = {
    "older": {"barrier", "true_status", "never_down", "came_to_rest", "one_content"},
    "newer": {"one_content", "only_valid", "never_down", "came_to_rest", "true_status"},
    "torn": {"one_version"},
    "second look": {"one_version"},
    "unknown content": {"only_valid", "one_content"},
    "failed": {"served"},
}
"""What is done to one request of a good run, and the rules one of which must say so."""


def mutated(request: Request, kind: str) -> Request:
    first = request.seen[0]
    replace = msgspec.structs.replace
    if kind == "failed":
        return replace(request, status=0, seen=[], error="ConnectionResetError")
    if kind == "second look":
        return replace(request, seen=[first, replace(first, version=first.version + 1)])
    changes = {
        "older": {"version": first.version - 1},
        "newer": {"version": first.version + 50},
        "torn": {"right": first.right + 1},
        "unknown content": dict.fromkeys(("serial", "left", "right"), 999),
    }
    return replace(request, seen=[replace(first, **changes[kind])] * 2)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(sorted(MUTATIONS)), st.randoms(use_true_random=False))
def test_one_request_that_is_mutated_is_found(seed: int, kind: str, dice: random.Random):
    """Any but the very first ones, before which nothing was promised."""
    history = Model(seed).history
    index = dice.choice([*requests_of(history)][2 * len(WORKERS) :])
    mutant = mutated(history[index], kind)
    found = {violation.rule for violation in check([*history[:index], mutant, *history[index + 1 :]])}
    assert found & MUTATIONS[kind], (kind, history[index], mutant)


OF_OTHERS: dict[str, tuple[type[Record], dict[str, Any], str]] = {
    "a call has no answer": (Call, {"answered": False}, "answered_once"),
    "a call is answered late": (Call, {"at": 900.0}, "answered_once"),
    "a call has an older load's outcome": (Call, {"loaded": 0.1}, "began_after"),
    "a caller is told of a newer version": (Call, {"version": 99}, "barrier"),
    "an owner says that an older version runs": (State, {"version": 0, "workers": {}}, "committed_stays"),
    "a worker is said to have a newer version": (State, {"version": 99, "workers": {"11": 99}}, "true_status"),
}
"""Kinds of records, what is changed in one of a good run, and the rule that must say so."""


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(sorted(OF_OTHERS)), st.randoms(use_true_random=False))
def test_one_record_of_another_kind_that_is_mutated_is_found(seed: int, name: str, dice: random.Random):
    kind, changes, rule = OF_OTHERS[name]
    history = Model(seed).history
    last = max(requests_of(history))
    indices = [index for index, each in enumerate(history[:last]) if isinstance(each, kind)]
    assume(len(indices) > 1)
    index = dice.choice(indices[1:-1] or indices[1:])
    mutant = msgspec.structs.replace(history[index], **changes)
    found = {violation.rule for violation in check([*history[:index], mutant, *history[index + 1 :]])}
    assert rule in found, (name, history[index], found)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.2, 0.9))
def test_the_end_of_a_run_must_be_there(seed: int, share: float):
    history = Model(seed).history
    assert "came_to_rest" in {violation.rule for violation in check(history[: int(len(history) * share)])}


def test_it_knows_nothing_of_confcast():
    """Its own process shows it: what would import a module of confcast would have it in `sys.modules`."""
    program = (
        "import sys, tests.torture.checker; print([each for each in sys.modules if each.split('.')[0] == 'confcast'])"
    )
    told = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize(("broken", "status"), [(False, 0), (True, 1)])
def test_the_command_prints_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: bool, status: int
):
    recorder = Recorder(tmp_path, "model")
    for record in [*Model(1).history, *([Left(at=99.0, kind="socket", what="a socket")] if broken else [])]:
        recorder.write(record)
    recorder.close()
    assert checker.main([str(tmp_path)]) == status
    told = capsys.readouterr().out
    assert f"{tmp_path}: {len(read(tmp_path))} records, {status} violations" in told
    assert ("left_behind: socket: a socket" in told) == broken


def test_a_folder_without_a_history_is_no_good_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        checker.main([str(tmp_path), str(tmp_path / "nowhere")])
    assert f"no history is in {tmp_path}, {tmp_path / 'nowhere'}" in capsys.readouterr().err
