"""What monitoring is told: sums and states as of now, and no word that an application or a person has written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from confcast import Webhook
from confcast.config.sources import polled
from confcast.fleet import followed
from confcast.owner.core.machine import Committed, Core, Hold, OperatorState, Rules
from confcast.owner.loop.measuring import measured
from confcast.owner.loop.present_status import Present
from confcast.owner.store.deliveries import Deliveries
from confcast.owner.store.journal import Journal, VersionRow
from confcast.wire.measured import WebhookCounts
from confcast.wire.messages import Change, Measured, Override, Problem, ReloadEvent, ReloadResult, Who, encode

SECRET = "s3cr3t-of-a-key"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "journal")) as made:
        yield made


def asked(journal: Journal, core: Core, overrides: tuple[Override, ...] = (), **counts: dict[str, int]) -> Measured:
    return measured(7, journal, core, Rules(name="shop"), Present(core.operator, overrides, core.phase(), ""), counts)


def core_at(version: int, operator: OperatorState = OperatorState()) -> Core:  # noqa: B008 - immutable
    return Core(Rules(), committed=Committed(version, b"d" * 16, b"p"), operator=operator)


def has(core: Core, pid: int, version: int, **state: Any) -> None:
    """A worker with this version on its pipe."""
    member = core.roster.connect(pid, pid, version, b"")
    member.acked = member.runs = version
    for name, value in state.items():
        setattr(member, name, value)


def committed(journal: Journal, version: int, ago: float) -> None:
    journal.record(VersionRow(version, b"%016d" % version, b"s", b"p", time.time() - ago, "watch"))


def test_workers_are_summed_by_version_and_state(journal: Journal) -> None:
    core = core_at(5)
    for pid in range(1, 61):
        has(core, pid, 5)
    for pid in range(61, 65):
        has(core, pid, 4, timed_out=True)
    has(core, 65, 5)
    core.roster.lose_pipe(next(each for each in core.roster if each.pid == 65))
    assert asked(journal, core).workers == ((4, "late", 4), (5, "current", 60), (5, "disconnected", 1))
    assert len(encode(asked(journal, core))) < 1024


def test_a_worker_lags_since_the_first_version_that_it_lacks(journal: Journal) -> None:
    for version, ago in ((3, 300.0), (4, 200.0), (5, 100.0)):
        committed(journal, version, ago)
    core = core_at(5)
    has(core, 1, 5)
    assert asked(journal, core).lag == 0.0
    has(core, 2, 4, timed_out=True)
    assert asked(journal, core).lag == pytest.approx(100.0, abs=5)
    has(core, 3, 3, timed_out=True)
    assert asked(journal, core).lag == pytest.approx(200.0, abs=5)


def test_a_worker_that_has_no_version_yet_and_one_on_trial_do_not_lag(journal: Journal) -> None:
    committed(journal, 5, 300.0)
    core = core_at(5)
    has(core, 1, 0)
    has(core, 2, 5, tried=6)
    assert asked(journal, core).lag == 0.0


def test_what_runs_since_when_and_by_whom_it_was_caused_is_told(journal: Journal) -> None:
    committed(journal, 5, 100.0)
    found = asked(journal, core_at(5))
    assert (found.id, found.name, found.version, found.digest, found.origin) == (
        7,
        "shop",
        5,
        (b"d" * 16).hex(),
        "watch",
    )
    assert found.since == pytest.approx(time.time() - 100.0, abs=5)
    assert (found.kept_versions, found.busy, found.held) == (1, 0.0, False)
    assert time.time() - 86400 < found.owner.started < time.time()
    assert found.owner.cpu_seconds > 0.0


def test_disk_follows_each_event_and_the_end_of_the_history(journal: Journal) -> None:
    core = core_at(5)
    assert asked(journal, core).disk == "in step"
    journal.add_event(ReloadEvent(timestamp=1.0, result=ReloadResult.IO_ERROR, origin="watch", version=5))
    assert asked(journal, core).disk == "refused"
    journal.fold()
    assert asked(journal, core).disk == "refused"
    journal.clear_events()
    assert asked(journal, core).disk == "in step"
    assert asked(journal, core).events.results == {"watch": {"io_error": 1}}


def test_two_journals_are_not_taken_for_each_other(journal: Journal, tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "other")) as other:
        journal.add_event(ReloadEvent(timestamp=1.0, result=ReloadResult.IO_ERROR, origin="watch"))
        other.add_event(ReloadEvent(timestamp=1.0, result=ReloadResult.SUCCESS, origin="call"))
        assert asked(journal, core_at(1)).events.results == {"watch": {"io_error": 1}}
        assert asked(other, core_at(1)).events.results == {"call": {"success": 1}}


def test_nothing_that_somebody_wrote_is_told(journal: Journal) -> None:
    who = Who(0, 7, SECRET)
    journal.record(VersionRow(5, b"d" * 16, b"s", SECRET.encode(), 1.0, "set", who, SECRET))
    problem, change = Problem(SECRET, SECRET, SECRET), Change(SECRET, SECRET, SECRET)
    journal.add_event(
        ReloadEvent(timestamp=1.0, result=ReloadResult.REJECTED, problems=[problem], changes=[change], reason=SECRET)
    )
    core = core_at(5, OperatorState(hold=Hold(5, 1.0, who, SECRET), pending=(change,)))
    has(core, 1, 4, observer_failures=3, last_observer_error=SECRET, working=(SECRET, 1.0))
    found = asked(journal, core, (Override(key=SECRET, value=SECRET, since=1.0, who=who, reason=SECRET),))
    assert (found.held, found.overrides, found.pending) == (True, 1, 1)
    assert SECRET.encode() not in encode(found)


def test_sources_that_give_no_answer_are_counted_by_their_kind(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Http(str):
        def stale(self) -> str:
            return f"{SECRET}: stale" if self == "b" else ""

    monkeypatch.setattr(polled, "_records", {Http("a"): None, Http("b"): None})
    monkeypatch.setattr(followed, "_records", {})  # other tests of this process follow sources, too
    assert asked(journal, core_at(5)).stale == {"Http": 1}


def test_of_webhooks_numbers_are_told_and_no_address(tmp_path: Path) -> None:
    hooks = (
        Webhook(f"https://{SECRET}:x@hooks.example/{SECRET}", SecretStr("whsec_" + "QUJD" * 8)),
        Webhook(f"https://hooks.example/{SECRET}", tmp_path / SECRET),
    )
    with closing(Journal(tmp_path / "with webhooks", deliveries=Deliveries(hooks, "shop", "host", ""))) as journal:
        journal.add_event(ReloadEvent(timestamp=time.time(), result=ReloadResult.SUCCESS, version=1))
        journal.fold()
        found = asked(journal, core_at(1))
    assert [each.pending for each in found.webhooks] == [1, 1]
    assert found.webhooks[0] == WebhookCounts(pending=1)
    assert SECRET.encode() not in encode(found)
