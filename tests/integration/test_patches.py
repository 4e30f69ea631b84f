"""Only the change travels: a worker's next version shares with the one before what both have."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast import ConfigLoader, ConfigReloadManager, Replica
from confcast.worker import registry
from tests.support.settings import Frozen
from tests.support.waiting import eventually

HOSTS = {f"b{number}": {"host": f"10.0.0.{number}"} for number in range(100)}


class Served:
    """A manager over one file, and a worker of it in this process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write(1, HOSTS)
        self.manager = ConfigReloadManager(ConfigLoader(Frozen, path), name="patches", watch=False)
        self.replica = Replica(Frozen, name="patches")

    def write(self, number: int, hosts: dict[str, Any]) -> None:
        self.path.write_text(json.dumps({"number": number, "backends": hosts}))

    def reload(self, number: int, hosts: dict[str, Any]) -> Frozen:
        self.write(number, hosts)
        event = self.manager.reload()
        assert event, event
        assert (len(event.applied), event.lagging) == (1, [])
        assert self.replica.latest.model_dump() == Frozen(number=number, backends=hosts).model_dump()
        return self.replica.latest


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path / "app.json")
    with served.manager:
        served.replica.attach()
        yield served
        served.replica.close()
    registry.withdraw(served.replica)


def test_unchanged_parts_of_the_next_version_are_the_same_objects(served: Served) -> None:
    for number in (2, 3):
        old = served.replica.latest
        new = served.reload(number, {**HOSTS, "b7": {"host": "moved", "port": number}})
        assert new.backends["b0"] is old.backends["b0"]
        assert new.backends["b7"] is not old.backends["b7"]
    kept = new.backends
    assert served.reload(4, {**HOSTS, "b7": {"host": "moved", "port": 3}}).backends is kept


def test_an_observer_of_a_part_that_has_not_changed_is_not_called(served: Served) -> None:
    numbers: list[int] = []
    hosts: list[object] = []
    served.replica.subscribe(lambda old, new: hosts.append(new), select=lambda config: config.backends)
    served.replica.subscribe(lambda old, new: numbers.append(new), select=lambda config: config.number)
    served.reload(2, HOSTS)
    served.reload(3, HOSTS)
    eventually(lambda: numbers == [2, 3], "both numbers")
    assert hosts == []


def test_what_an_application_changed_in_place_is_put_right_by_the_whole_payload(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="confcast.worker")
    before = served.replica.latest
    before.backends.pop("b3")
    new = served.reload(2, {**HOSTS, "b7": {"host": "moved"}})
    assert new.backends["b0"] is not before.backends["b0"]
    assert "a patch does not fit what is held here; the whole payload is asked for" in caplog.text


def test_an_owner_that_was_restarted_goes_on_with_patches_of_what_the_workers_hold(served: Served) -> None:
    served.reload(2, HOSTS)
    old, pid = served.replica.latest, served.manager.owner_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: served.manager.owner_pid not in (None, pid) and served.replica.connected, "the next owner")
    new = served.reload(3, {**HOSTS, "b7": {"host": "moved"}})
    assert new.backends["b0"] is old.backends["b0"]
