"""What workers derive, in real processes: built at the vote, swapped in with the version, closed after its last pin."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast import ReloadResult
from tests.support import deriving
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.settings import write
from tests.support.slow import slow
from tests.support.waiting import eventually, history_of
from tests.support.workers import Worker

Start = Callable[..., Worker]


@pytest.fixture
def manager(start_manager: StartManager) -> Manager:
    """Without a probation: what it would put back is kept open until its end."""
    return start_manager(probation=0.0)


@pytest.fixture
def start(
    forkserver: multiprocessing.context.BaseContext, nothing_is_left: None, start_manager: StartManager
) -> Iterator[Start]:
    """Starts a worker with derived things."""
    workers: list[Worker] = []

    def begin(manager: Manager, target: Callable[..., None] = deriving.derive, *arguments: Any) -> Worker:
        worker = Worker(forkserver, target=target, arguments=(manager.address, *arguments))
        workers.append(worker)
        return worker

    yield begin
    for worker in workers:
        worker.end()


def test_a_thing_is_built_by_attach_and_follows_each_version_in_every_worker(
    manager: Manager, start: Start, config: Path
) -> None:
    workers = [start(manager) for _ in range(2)]
    assert [worker.ask("built") for worker in workers] == [[1], [1]]

    for number in range(2, 12):
        write(config, number)
        assert manager.reload().result is ReloadResult.SUCCESS
        assert [worker.ask("read") for worker in workers] == [(number, number, True)] * 2

    assert workers[0].ask("built") == list(range(1, 12))
    assert workers[0].ask("closed", 10) == list(range(1, 11))


def test_what_is_not_its_part_leaves_it_as_it_is(manager: Manager, start: Start, config: Path) -> None:
    worker = start(manager)
    write(config, 1, tags=["new"])

    assert manager.reload().result is ReloadResult.SUCCESS

    assert (worker.ask("read"), worker.ask("built")) == ((1, 1, True), [1])


@pytest.mark.parametrize(
    ("deed", "why"),
    [
        ("raise", "pool can't be built: ZeroDivisionError: division by zero"),
        slow("leave", "pool can't be built: SystemExit: bad option"),
        slow("read another", "pool: its build reads 'other'"),
        ("reload", "it can't call the owner"),
    ],
)
def test_one_worker_that_can_not_build_it_refuses_the_version_for_all(
    manager: Manager, start: Start, config: Path, deed: str, why: str
) -> None:
    workers = [start(manager) for _ in range(2)]
    write(config, 2, name=deed)

    event = manager.reload()

    assert event.result is ReloadResult.REJECTED
    assert why in event.problems[0].message
    assert [worker.ask("read") for worker in workers] == [(1, 1, True)] * 2
    write(config, 3)
    assert manager.reload().result is ReloadResult.SUCCESS
    assert [worker.ask("read") for worker in workers] == [(3, 3, True)] * 2


def test_where_builds_last_a_version_that_can_not_be_built_costs_one_of_them(
    manager: Manager, start: Start, config: Path
) -> None:
    workers = [start(manager) for _ in range(3)]
    write(config, 2, name="last")
    assert manager.reload().result is ReloadResult.SUCCESS
    write(config, 3, name="raise")

    assert manager.reload().result is ReloadResult.REJECTED
    assert sum(worker.ask("begun").count(3) for worker in workers) == 1

    write(config, 4, name="raise")
    assert manager.check().result is ReloadResult.REJECTED
    assert sum(worker.ask("begun").count(4) for worker in workers) == 1

    write(config, 5)
    assert manager.reload().result is ReloadResult.SUCCESS
    assert [worker.ask("read") for worker in workers] == [(5, 5, True)] * 3


def test_what_a_build_has_opened_before_it_fails_is_not_kept_open_by_its_error(
    manager: Manager, start: Start, config: Path
) -> None:
    worker = start(manager)
    for number in range(2, 7):
        write(config, number, name="leak")
        event = manager.reload()
        assert event.result is ReloadResult.REJECTED
        assert "is open" in event.problems[0].message
    eventually(lambda: worker.ask("opened") == 0, "no file is open")


def test_what_others_have_built_for_a_refused_version_is_closed(manager: Manager, start: Start, config: Path) -> None:
    worker = start(manager)
    refusing = start(manager)
    refusing.ask("refuse")
    write(config, 2)

    assert manager.reload().result is ReloadResult.REJECTED

    assert worker.ask("closed", 1) == [2]  # the other one's no may end the round before this one has built it
    assert worker.ask("built") == [1, 2]
    assert worker.ask("read") == (1, 1, True)


def test_a_dry_run_builds_and_closes(manager: Manager, start: Start, config: Path) -> None:
    worker = start(manager)
    write(config, 2)
    assert manager.check().result is ReloadResult.SUCCESS
    assert worker.ask("closed", 1) == [2]
    write(config, 3, name="raise")
    assert "division by zero" in manager.check().problems[0].message
    assert worker.ask("read") == (1, 1, True)


def test_a_build_that_hangs_is_named_and_bounded_by_precommit_timeout(
    start_manager: StartManager, start: Start, config: Path
) -> None:
    manager = start_manager(precommit_timeout=0.5, probation=0.0)
    worker = start(manager)
    write(config, 2, name="hang")

    event = manager.reload()

    assert event.result is ReloadResult.REJECTED
    assert "tests.support.deriving:pool has run for" in event.problems[0].message
    assert worker.ask("read") == (1, 1, True)
    worker.ask("go_on")  # then the owner may try it again, and take up what was built
    write(config, 3)
    eventually(manager.reload, "the next version, whoever loads it")
    assert worker.ask("read") == (3, 3, True)
    assert {*worker.ask("closed", 2)} == {1, 2}


@pytest.mark.parametrize("count", [50, slow(10_000)])
def test_a_long_pin_keeps_its_pool_through_many_versions_and_its_end_closes_that(
    manager: Manager, start: Start, config: Path, count: int
) -> None:
    worker = start(manager)
    worker.ask("pin")
    for number in range(2, count + 2):
        write(config, number)
        assert manager.reload()

    assert sorted(worker.ask("closed", count - 1)) == list(range(2, count + 1))
    eventually(lambda: worker.ask("kept") == [(1, 1)], "the others are counted as closed")
    assert worker.ask("pinned") == (1, True)
    worker.ask("unpin")
    assert worker.ask("closed", count)[-1] == 1
    eventually(lambda: worker.ask("kept") == [], "nothing more is kept")


@pytest.mark.parametrize(("deed", "why"), [slow("raise", "OSError: the socket is gone"), ("hang", "not done in 0.2 s")])
def test_a_close_that_fails_is_logged_and_stops_nothing(
    manager: Manager, start: Start, config: Path, deed: str, why: str
) -> None:
    worker = start(manager)
    worker.ask("closes_by", deed)
    write(config, 2)
    assert manager.reload()

    assert why in worker.ask("failed_closes", 1)
    worker.ask("closes_by", "")
    write(config, 3)
    assert manager.reload()
    assert worker.ask("closed", 1) == [2]


def test_an_undo_or_a_rollback_takes_things_up(manager: Manager, start: Start, config: Path) -> None:
    worker = start(manager)
    write(config, 2)
    assert manager.reload()

    assert manager.rollback(1).result is ReloadResult.SUCCESS

    assert worker.ask("read") == (1, 1, True)


def test_an_undo_of_which_a_worker_can_not_build_what_it_needs_names_it(
    start_manager: StartManager, start_worker: StartWorker, start: Start, config: Path
) -> None:
    write(config, 1, name="raise")
    manager = start_manager(probation=600.0)
    plain = start_worker(manager)
    write(config, 2)
    assert manager.reload().result is ReloadResult.SUCCESS
    worker = start(manager)  # it never had what is put back

    worker.ask("say_unhealthy")

    undone = eventually(lambda: [each for each in history_of(manager) if each.result is ReloadResult.UNDONE], "an undo")
    assert plain.ask("await_number", 1) == 3
    assert [(each.pid, each.state) for each in undone[0].lagging] == [(worker.pid, "declined")]
    assert "division by zero" in undone[0].lagging[0].reason
    assert worker.ask("read") == (2, 2, True)
    write(config, 4)
    assert manager.reload().result is ReloadResult.SUCCESS
    assert worker.ask("read") == (4, 4, True)


def test_closing_the_replica_closes_all(manager: Manager, start: Start) -> None:
    worker = start(manager)
    worker.ask("pin")
    worker.ask("detach")
    assert worker.ask("closed", 1) == [1]


def test_a_forked_child_has_things_of_its_own(manager: Manager, start: Start) -> None:
    worker = start(manager)
    assert worker.ask("in_a_child") == ["NotAttached", "1", "[1]"]
    assert worker.ask("read") == (1, 1, True)


def test_a_version_in_hand_that_can_not_be_built_is_an_error_of_attach_and_tried_again(
    manager: Manager, start: Start, tmp_path: Path
) -> None:
    mark = tmp_path / "database"
    worker = start(manager, deriving.fails_in_hand, str(mark))
    assert worker.ask("attach").endswith("pool can't be built: ConnectionError: no database yet")
    mark.touch()
    assert worker.ask("attach") == ""
    assert worker.ask("read") == 1
    worker.ask("detach")
