"""A long run's verdict finds what grows by little, and is silent where things only vary."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest

from benchmarks import long_run
from benchmarks.long_run import Run, acts, verdict
from benchmarks.long_run.looks import Has, Look

RELOADS, LIFE = 100_000, 12_500
EACH = RELOADS // 100

Grows = Callable[[str, int, int], Has]
"""What a process of this role has, by the reloads since the run's beginning, and since its own."""


def quiet(role: str, at: int, age: int) -> Has:
    """It warms up, and then varies: memory by steps of malloc's, descriptors and threads where one is closed late."""
    chance = random.Random(f"{role} {at} {age}")
    memory = 30_000 + min(age, 3000) + chance.choice((0, 0, 0, 64, 132, 1500))
    return Has(role, 0, 12 + (chance.random() < 0.1), 5 + (chance.random() < 0.1), memory)


def looks(grows: Grows = quiet, journal: Callable[[int], float] = lambda at: 1800.0, log: int = 300) -> list[Look]:
    """An owner that lives all the time, and workers of which each follows another."""
    found = []
    for at in range(0, RELOADS + 1, EACH):
        processes = [msgspec.structs.replace(grows("owner", at, at), pid=1)]
        for rank in range(4):
            life, age = divmod(at + rank * LIFE // 4, LIFE)
            young = age if life else at
            processes.append(msgspec.structs.replace(grows("worker", at, young), pid=100 + 10 * life + rank))
        found.append(Look(at, processes, {"journal: KiB": journal(at), "journal: files": 4}, at * log))
    return found


def grown(found: list[Look]) -> set[str]:
    """What is said to grow."""
    rows = verdict.judge(found, ("owner", "worker"))
    assert all(row.ok is not None for row in rows), rows
    return {row.name.split(";")[0].split(", KiB")[0] for row in rows if not row.ok}


def leaking(role: str, **each: float) -> Grows:
    """One more of something each so many reloads of a process's life."""

    def grows(of: str, at: int, age: int) -> Has:
        has = quiet(of, at, age)
        more = {kind: getattr(has, kind) + int(age * rate) for kind, rate in each.items()}
        return msgspec.structs.replace(has, **more) if of == role else has  # type: ignore[arg-type]

    return grows


def test_what_only_varies_is_no_growth():
    assert grown(looks()) == set()


@pytest.mark.parametrize("role", ["owner", "worker"])
@pytest.mark.parametrize("kind", ["descriptors", "threads"])
def test_one_descriptor_or_thread_in_a_thousand_reloads_is_found(role: str, kind: str):
    assert grown(looks(leaking(role, **{kind: 1 / 1000}))) == {f"{role}: {kind} more than at first"}


@pytest.mark.parametrize("role", ["owner", "worker"])
def test_two_hundred_bytes_a_reload_are_found(role: str):
    assert grown(looks(leaking(role, memory=200 / 1024))) == {f"{role}: memory"}


def test_twenty_bytes_a_reload_are_within_the_bound():
    assert grown(looks(leaking("owner", memory=20 / 1024))) == set()


def test_what_a_process_opens_after_its_birth_is_no_growth_however_short_its_life_is_in_the_end():
    def grows(role: str, at: int, age: int) -> Has:
        has = msgspec.structs.replace(quiet(role, at, age), descriptors=13, threads=4)
        return has if role == "owner" or age > EACH / 2 else msgspec.structs.replace(has, descriptors=11, threads=3)

    found = looks(grows)
    for end in range(len(found) // 2, len(found) + 1):
        assert grown(found[:end]) <= {"owner: memory", "worker: memory"}


def test_a_step_is_no_growth():
    def grows(role: str, at: int, age: int) -> Has:
        has = quiet(role, at, age)
        return msgspec.structs.replace(has, memory=has.memory + 2000 * (at > RELOADS / 2 and role == "owner"))

    assert grown(looks(grows)) == set()


def test_what_a_master_leaks_is_found_in_those_that_it_forks():
    def grows(role: str, at: int, age: int) -> Has:
        has, born = quiet(role, at, age), at - age
        return msgspec.structs.replace(
            has, descriptors=has.descriptors + born // 10_000, memory=has.memory + born * 200 // 1024
        )

    rows = verdict.judge(looks(grows), ("worker",))

    assert {row.name.split(";")[0] for row in rows if not row.ok} == {
        "worker: descriptors more than at first",
        "worker: memory, KiB in 10,000 reloads, of young ones",
    }


def test_a_journal_that_grows_and_a_log_that_says_ever_more_are_found():
    assert grown(looks(journal=lambda at: 1000 + at / 10)) == {"journal: KiB in 10,000 reloads"}
    more = [msgspec.structs.replace(look, log=look.log + look.reloads**2 // 100) for look in looks()]
    assert grown(more) == {"log: bytes a reload, at the end through the beginning"}


def test_a_run_that_is_too_short_says_so():
    rows = verdict.judge(looks()[:2], ("owner",))

    assert [row.name for row in rows if "memory" in row.name and row.ok is None] == [
        "owner: memory, KiB in 10,000 reloads; not judged: too few looks"
    ]


def test_each_act_is_there_and_each_thousand_has_all_of_them():
    todo = acts.plan(seed=1)
    thousand = [next(todo) for _ in range(1000)]
    again = acts.plan(seed=1)

    assert [next(again) for _ in range(1000)] == thousand
    assert {act: thousand.count(act) for act in acts.SHARES} == acts.SHARES
    assert all(hasattr(acts.Acts, f"_{act}") for act in acts.SHARES)


def test_what_was_measured_is_told_and_read_again():
    run = Run(RELOADS, 1, 60.0, looks(), {"changed: success": 5}, ["set: held"], 10, 1, 0, 1, 7)
    read = msgspec.json.decode(msgspec.json.encode(run), type=Run)

    assert read == run
    assert "changed: success 5\nset: held\n" in long_run.report(read)
    assert "100,000" in long_run.line(read)
