"""What webhooks are owed, in a real journal: made with the event, gone when it was taken, and never too much."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from confcast import Webhook
from confcast.owner.store import deliveries as module
from confcast.owner.store.deliveries import MOST, MOST_BYTES, OLDEST, Deliveries, Delivery
from confcast.owner.store.handover import move_journal, take_over, write_copy
from confcast.owner.store.journal import Journal, JournalError
from confcast.wire.messages import Change, ReloadEvent, ReloadResult
from tests.support.receiver import SECRET

KEY = SecretStr(SECRET)
ALL, REFUSED = Webhook("https://ops.example/hunter2", KEY), Webhook("https://ops.example/b", KEY, on=["refused"])
NOW = 1700000000.0


def settled(version: int, **more: object) -> ReloadEvent:
    how = {"timestamp": NOW + version, "result": ReloadResult.SUCCESS, "version": version}
    return ReloadEvent(**how, previous_version=version - 1, **more)  # type: ignore[arg-type]


def refused(version: int) -> ReloadEvent:
    return ReloadEvent(
        timestamp=NOW + version, result=ReloadResult.VALIDATION_FAILED, version=version, previous_version=version
    )


def made(*webhooks: Webhook) -> Deliveries:
    return Deliveries(webhooks or (ALL, REFUSED), "app", "web-3")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def owed(deliveries: Deliveries) -> Delivery:
    found = deliveries.next(ALL.key)
    assert found is not None
    return found


def take_all(deliveries: Deliveries, webhook: Webhook = ALL) -> list[Delivery]:
    found = []
    while (owed := deliveries.next(webhook.key)) is not None:
        found.append(owed)
        deliveries.delivered(webhook.key, owed)
    return found


def versions(owed: list[Delivery]) -> list[int]:
    return [json.loads(each.body)["data"]["version"] for each in owed]


def test_each_webhook_owes_what_it_is_about_and_is_told_of_it(path: Path) -> None:
    deliveries, told = made(), []
    deliveries.changed = lambda: told.append(True)
    with closing(Journal(path, deliveries=deliveries)) as journal:
        journal.add_event(settled(1))
        journal.add_event(refused(1))
        assert (deliveries.next(ALL.key), told) == (None, []), "nothing is written beside the event"
        journal.fold()
        assert told
        assert (deliveries.owed(ALL.key), deliveries.owed(REFUSED.key)) == (2, 1)
        assert versions(take_all(deliveries)) == [1, 1]
        assert len(take_all(deliveries, REFUSED)) == 1
        first = journal.totals()["webhooks"][0]
    assert first == {
        "url": "https://ops.example/***",
        "on": ["settled", "refused", "undone", "held"],
        "delivered": 2,
        "failed": 0,
        "pending": 0,
        "dropped": 0,
        "error": "",
        "next_try": None,
        "gone": None,
    }


def test_an_owner_that_dies_at_any_point_leaves_each_message_once(path: Path, tmp_path: Path) -> None:
    """What the ahead file has, its next owner takes in; what SQLite has already, that owner does not take twice."""
    deliveries = made()
    journal = Journal(path, deliveries=deliveries)
    journal.add_event(settled(1))
    journal.fold()
    journal.add_event(settled(2))
    for file in path.parent.glob("journal*"):
        (tmp_path / f"copied-{file.name}").write_bytes(file.read_bytes())
    journal.close()
    found = versions(take_all_in(tmp_path / "copied-journal"))
    assert found == [1, 2]


def take_all_in(path: Path) -> list[Delivery]:
    deliveries = made()
    with closing(Journal(path, deliveries=deliveries)) as journal:
        journal.fold()
        return take_all(deliveries)


def test_the_next_generation_has_the_same_messages_under_the_same_ids(path: Path, tmp_path: Path) -> None:
    deliveries, there = made(), tmp_path / "next" / "journal"
    there.parent.mkdir()
    with closing(Journal(path, deliveries=deliveries)) as journal:
        journal.add_event(settled(1))
        journal.fold()
        journal.add_event(settled(2))  # in the ahead file alone, when the copy is made
        write_copy(journal, 2, tmp_path)
        take_over(tmp_path, there)
        journal.fold()
        ids = [each.id for each in take_all(deliveries)]
    assert [each.id for each in take_all_in(there)] == ids
    assert len(ids) == 2


def test_a_journal_that_is_made_anew_under_a_try_keeps_the_message_that_has_its_number(path: Path) -> None:
    deliveries = made()
    with closing(Journal(path, deliveries=deliveries)) as journal:
        journal.add_event(settled(1))
        journal.fold()
        tried = owed(deliveries)
    path.unlink()
    with closing(Journal(path, deliveries=deliveries)) as journal:
        journal.add_event(settled(2))
        journal.fold()
        deliveries.delivered(ALL.key, tried)
        deliveries.failed(ALL.key, tried, "answers with status 500", NOW, NOW)
        assert owed(deliveries).attempts == 0
        assert versions(take_all(deliveries)) == [2]


def test_it_moves_with_the_journal(path: Path, tmp_path: Path) -> None:
    with closing(Journal(path, deliveries=made())) as journal:
        journal.add_event(settled(1))
        move_journal(journal, tmp_path / "state")
    assert versions(take_all_in(tmp_path / "state")) == [1]


def test_what_failed_waits_behind_what_was_not_tried(path: Path) -> None:
    deliveries = made()
    with closing(Journal(path, deliveries=deliveries)) as journal:
        for number in (1, 2):
            journal.add_event(settled(number))
        journal.fold()
        first = deliveries.next(ALL.key)
        assert first is not None
        deliveries.failed(ALL.key, first, "answers with status 500", NOW + 5, NOW + 3)
        row = deliveries.row(ALL.key)
        assert (row.failures, row.failed, row.due, row.due_fresh) == (1, 1, NOW + 5, NOW + 3)
        (told,) = [each for each in journal.totals()["webhooks"] if each["error"]]
        assert (told["error"], told["next_try"], told["pending"]) == ("answers with status 500", NOW + 5, 2)
        assert versions(take_all(deliveries)) == [2, 1]
        assert deliveries.row(ALL.key)._replace(delivered=0) == module.Row(failed=1)


def test_no_more_than_so_many_are_owed_and_the_newest_stay(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 20)
    deliveries = made()
    with closing(Journal(path, deliveries=deliveries)) as journal:
        for number in range(1, 31):
            journal.add_event(settled(number))
        journal.fold()
        assert (deliveries.owed(ALL.key), deliveries.row(ALL.key).dropped) == (20, 10)
        assert versions(take_all(deliveries)) == list(range(11, 31))


def test_no_more_than_so_many_bytes_are_owed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 100_000)
    deliveries, changes = made(), [Change(f"key{number}", "x" * 400, "y" * 400) for number in range(50)]
    with closing(Journal(path, deliveries=deliveries)) as journal:
        for number in range(1, 31):
            journal.add_event(settled(number, changes=changes))
        journal.fold()
        left = take_all(deliveries)
    assert 50_000 < sum(len(each.body) for each in left) <= 100_000
    assert versions(left) == list(range(31 - len(left), 31))


def test_the_bounds_are_what_the_guide_says() -> None:
    assert (MOST, MOST_BYTES, OLDEST) == (1000, 4 * 1024**2, 3 * 24 * 3600.0)


def test_what_is_too_old_is_dropped_and_counted(path: Path) -> None:
    deliveries = made()
    with closing(Journal(path, deliveries=deliveries)) as journal:
        assert deliveries.drop_old(ALL.key, NOW) == 0, "there are no tables yet"
        for number in (1, 2, 3):
            journal.add_event(settled(number))
        journal.fold()
        assert deliveries.drop_old(ALL.key, NOW + OLDEST + 1) == 0
        assert deliveries.drop_old(ALL.key, NOW + OLDEST + 2.5) == 2
        assert deliveries.row(ALL.key).dropped == 2
        assert versions(take_all(deliveries)) == [3]


def test_one_whose_receiver_wants_no_more_is_owed_nothing_until_a_server_starts(path: Path) -> None:
    deliveries = made()
    with closing(Journal(path, deliveries=deliveries)) as journal:
        for number in (1, 2):
            journal.add_event(settled(number))
        journal.fold()
        assert deliveries.end(ALL.key, "answers with status 410", NOW) == 2
    with closing(Journal(path, deliveries=deliveries)) as journal:
        deliveries.begin(afresh=False)
        journal.add_event(settled(3))
        journal.fold()
        assert (deliveries.next(ALL.key), deliveries.row(ALL.key).gone, deliveries.row(ALL.key).dropped) == (
            None,
            NOW,
            2,
        )
        deliveries.begin(afresh=True)
        journal.add_event(settled(4))
        journal.fold()
        assert versions(take_all(deliveries)) == [4]


def test_what_is_named_no_more_is_forgotten(path: Path) -> None:
    with closing(Journal(path, deliveries=made())) as journal:
        for number in (1, 2):
            journal.add_event(refused(number))
    fewer = made(REFUSED)
    with closing(Journal(path, deliveries=fewer)):
        assert fewer.begin(afresh=True) == 2
        assert (fewer.owed(ALL.key), fewer.owed(REFUSED.key)) == (0, 2)


def test_neither_a_secret_nor_a_url_is_in_the_file(path: Path) -> None:
    deliveries = made()
    with closing(Journal(path, deliveries=deliveries)) as journal:
        journal.add_event(settled(1))
        journal.fold()
        deliveries.end(ALL.key, "answers with status 410", NOW)
    content = path.read_bytes()
    for secret in ("hunter2", SECRET, SECRET.removeprefix("whsec_"), "ops.example"):
        assert secret.encode() not in content


def test_an_event_that_can_t_be_told_is_taken_in_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*about: object) -> None:
        raise RecursionError("hunter2")

    deliveries = made()
    with closing(Journal(path, deliveries=deliveries)) as journal:
        monkeypatch.setattr(module, "messages", fails)
        journal.add_event(settled(1))
        journal.fold()
        monkeypatch.undo()
        assert [each.version for each in journal.events()] == [1]
        journal.add_event(settled(2))
        journal.fold()
        assert versions(take_all(deliveries)) == [2]
    assert caplog.messages == ["an event can't be told by webhooks: RecursionError"]


def test_without_webhooks_the_journal_has_no_table_of_theirs_and_says_so(path: Path) -> None:
    with closing(Journal(path)) as journal:
        journal.add_event(settled(1))
        journal.fold()
        assert journal.totals()["webhooks"] == []
    with closing(sqlite3.connect(path)) as read:
        tables = {name for (name,) in read.execute("SELECT name FROM sqlite_master")}
    assert not {name for name in tables if "webhook" in name}


def test_what_can_t_be_written_is_an_error_of_the_journal(path: Path) -> None:
    deliveries = made()
    journal = Journal(path, deliveries=deliveries)
    journal.close()
    for use in (
        lambda: deliveries.begin(afresh=True),
        lambda: deliveries.next(ALL.key),
        lambda: deliveries.owed(ALL.key),
    ):
        with pytest.raises(JournalError):
            use()


def test_what_is_damaged_counts_as_none_and_keeps_no_event_from_being_taken_in(path: Path) -> None:
    deliveries = made()
    with closing(Journal(path, deliveries=deliveries)) as journal:
        journal.add_event(settled(1))
        journal.fold()
        deliveries.failed(ALL.key, owed(deliveries), "answers with status 500", NOW, NOW)
        ask = journal._database.ask
        ask("UPDATE webhook SET due = 'x', failures = x'00', gone = 'never'")
        ask("UPDATE webhook_told SET version = 'x'")
        journal.add_event(settled(2))
        journal.fold()
        assert deliveries.row(ALL.key) == module.Row()
        assert versions(take_all(deliveries)) == [2, 1]


@pytest.mark.parametrize("limit", [0, 1])
def test_they_are_independent_of_the_history(path: Path, limit: int) -> None:
    deliveries = made()
    with closing(Journal(path, history_limit=limit, deliveries=deliveries)) as journal:
        for number in (1, 2, 3):
            journal.add_event(settled(number))
        journal.fold()
        journal.add_event(settled(4))
        journal.clear_events()
        assert journal.events() == []
        assert versions(take_all(deliveries)) == [1, 2, 3, 4]
