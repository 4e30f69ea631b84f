"""`CONFCAST_DEBUG` in real workers."""

from __future__ import annotations

from pathlib import Path

from tests.support.fixtures import Manager, StartWorker
from tests.support.settings import write


def test_a_change_in_place_is_named_once_at_the_next_swap_and_is_not_put_right(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    watched, other = start_worker(), start_worker()
    for worker, wanted in ((watched, "1"), (other, "0")):
        worker.ask("debug", wanted)
        worker.ask("attach", manager.address)
        worker.ask("pin")
        worker.ask("write_in_place", 7)

    for number in (2, 3):
        write(config, number)
        assert manager.reload().lagging == []

    (warning,) = watched.ask("warned")
    assert warning.startswith(
        "configuration 'app' was changed in place in this process: limits.high (100 became 7). Nobody validated that"
    )
    assert other.ask("warned") == []
    assert [worker.ask("pinned_high") for worker in (watched, other)] == [7, 7]
    assert watched.ask("current_and_latest") == (1, 3)
