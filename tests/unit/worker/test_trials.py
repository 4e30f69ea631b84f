"""Pins while a version is on trial: by worker, by entity, inside other pins, and how they are counted."""

from __future__ import annotations

import asyncio
import enum
import gc
import subprocess
import sys

import pytest
from msgspec import Struct

from confcast.worker import pins
from confcast.worker.health.tally import Tally
from confcast.worker.pins import Pin, TrialPin
from confcast.worker.replica import Replica
from confcast.worker.snapshot import Snapshot
from confcast.worker.trials import Trial, position


class Config(Struct, frozen=True):
    size: int = 0


COMMITTED = Snapshot(Config(3), 3, b"3")
TRIED = Snapshot(Config(5), 5, b"5")
SALT = "salt"
INSIDE, OUTSIDE = "user-4", "user-1"
"""Of a quarter of the entities by this salt, and not; see the first test."""


def by_entity(share: float = 0.25, *, begun: bool = True) -> Trial[Config]:
    return Trial(TRIED, share, SALT, begun=begun)


def by_worker() -> Trial[Config]:
    return Trial(TRIED)


@pytest.fixture
def replica() -> Replica[Config]:
    replica = Replica(Config)
    replica._take(COMMITTED)
    return replica


@pytest.fixture
def counted():
    """The pins of one of the two versions that have ended, that have failed, and that named an entity."""
    tallies = {}
    for snapshot in (COMMITTED, TRIED):
        tallies[snapshot.version] = Tally()
        object.__setattr__(snapshot, "_tally", tallies[snapshot.version])
    return lambda version: (tallies[version].answered, tallies[version].failed, tallies[version].entities)


class TestTheChoice:
    def test_is_as_the_other_tests_take_it(self):
        quarter = bytes([64])
        assert position(INSIDE, SALT) < quarter <= position(OUTSIDE, SALT)

    def test_is_the_same_in_another_process(self):
        code = "from confcast.worker.trials import position; print(position('user-7', 'salt').hex())"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == position("user-7", "salt").hex()

    @pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.99])
    def test_gives_the_share_of_the_entities_the_version(self, share):
        trial = by_entity(share)
        chosen = sum(trial.choose(f"user-{number}") for number in range(20_000))
        assert abs(chosen / 20_000 - share) < 0.02

    def test_of_all_is_all(self):
        trial = by_entity(1.0)
        assert all(trial.choose(f"user-{number}") for number in range(1000))

    def test_with_another_salt_is_another(self):
        salts = ("salt-1", "salt-2")
        chosen = [{n for n in range(4000) if position(n, salt) < bytes([64])} for salt in salts]
        assert 150 < len(chosen[0] & chosen[1]) < 350, "a quarter of a quarter is 250"

    def test_takes_a_number_for_its_text(self):
        class Number(enum.IntEnum):
            FORTY_TWO = 42

        class Name(str, enum.Enum):  # noqa: UP042 - its `format` gives another text
            ADA = "ada"

        assert position(42, SALT) == position("42", SALT) == position(Number.FORTY_TWO, SALT)
        assert position(True, SALT) == position(1, SALT)
        assert position(Name.ADA, SALT) == position("ada", SALT)

    def test_takes_any_text(self):
        assert len(position("\ud800", SALT)) == len(position("ü" * 5000, SALT)) == 8

    def test_is_remembered_for_a_bounded_number_of_entities(self):
        trial = by_entity()
        for number in range(10_000):
            trial.choose(number)
        assert len(trial.chosen) <= 4097

    @pytest.mark.parametrize("entity", [b"ada", object()], ids=["bytes", "an object"])
    def test_of_what_is_no_text_or_number_fails_no_request_and_is_logged_once(self, replica, entity, caplog):
        """Nobody would have seen the mistake before the first trial, which then failed all requests."""
        replica._set_trial(by_entity())
        for _ in range(2):
            with replica.pin(entity=entity):
                assert replica.version == 3
        (said,) = caplog.messages
        assert said.startswith(
            f"pin(entity=…) was given a {type(entity).__name__}, not a text or a number: it names no"
        )


class TestByWorker:
    @pytest.mark.parametrize("entity", [None, "", INSIDE, OUTSIDE, 7])
    def test_every_pin_gets_it_and_nothing_else_does(self, replica, entity):
        replica._set_trial(by_worker())
        with replica.pin(entity=entity) as config:
            assert (config.size, replica.current.size, replica.version, replica.snapshot) == (5, 5, 5, TRIED)
            assert replica.latest.size == 3
        assert (replica.current.size, replica.version, replica.snapshot) == (3, 3, COMMITTED)

    def test_its_end_gives_the_committed_one_to_pins_that_begin_then(self, replica):
        replica._set_trial(by_worker())
        with replica.pin():
            replica._set_trial(None)
            assert replica.version == 5
        with replica.pin():
            assert replica.version == 3

    def test_a_promotion_gives_no_pin_an_older_version(self, replica):
        replica._set_trial(by_worker())
        replica._take(TRIED)
        with replica.pin():
            assert replica.version == 5
        replica._set_trial(None)
        with replica.pin():
            assert replica.version == 5


class TestByEntity:
    @pytest.mark.parametrize(("entity", "version"), [(INSIDE, 5), (OUTSIDE, 3), (None, 3), ("", 3)])
    def test_pins_get_the_version_of_their_entity(self, replica, entity, version):
        replica._set_trial(by_entity())
        for _ in range(2):  # the second time it is remembered
            with replica.pin(entity=entity):
                assert replica.version == version
        assert replica.latest.size == 3

    def test_is_not_used_before_it_has_begun(self, replica):
        replica._set_trial(by_entity(begun=False))
        with replica.pin(entity=INSIDE):
            assert replica.version == 3
        replica._set_trial(by_entity())
        with replica.pin(entity=INSIDE):
            assert replica.version == 5

    def test_without_a_trial_an_entity_changes_nothing(self, replica):
        with replica.pin(entity=INSIDE):
            assert replica.version == 3
            replica._take(TRIED)
            with replica.pin(entity=OUTSIDE):
                assert replica.version == 3
        assert type(replica.pin(entity=INSIDE)) is Pin

    @pytest.mark.parametrize(
        ("outer", "inner", "version"),
        [
            (None, INSIDE, 5),
            (None, OUTSIDE, 3),
            (OUTSIDE, INSIDE, 5),
            (INSIDE, OUTSIDE, 3),
            (INSIDE, None, 5),
            (INSIDE, "", 5),
            (OUTSIDE, None, 3),
        ],
    )
    def test_inside_a_pin_the_block_sees_its_own_entity_s_version(self, replica, outer, inner, version):
        replica._set_trial(by_entity())
        with replica.pin(entity=outer):
            before = replica.version
            with replica.pin(entity=inner) as config:
                assert (replica.version, config.size) == (version, version)
            assert replica.version == before

    def test_inside_a_pin_of_an_older_version_one_outside_of_the_share_keeps_that(self, replica):
        with replica.pin():
            newer = Snapshot(Config(4), 4, b"4")
            replica._take(newer)
            replica._set_trial(by_entity())
            with replica.pin(entity=OUTSIDE):
                assert replica.version == 3
            with replica.pin(entity=INSIDE):
                assert replica.version == 5

    def test_a_task_inherits_it(self, replica):
        replica._set_trial(by_entity())

        async def request() -> int:
            with replica.pin(entity=INSIDE):
                return await asyncio.create_task(look())

        async def look() -> int:
            return replica.version

        assert asyncio.run(request()) == 5

    def test_a_connection_s_pin_is_renewed_for_its_entity(self, replica):
        replica._set_trial(by_entity())
        inside, outside = replica.pin(entity=INSIDE), replica.pin(entity=OUTSIDE)
        with inside, outside:
            replica._take(Snapshot(Config(6), 6, b"6"))
            inside.renew()
            outside.renew()
            assert (inside.snapshot.version, outside.snapshot.version) == (5, 6)
            replica._set_trial(None)
            inside.renew()
            assert inside.snapshot.version == 6

    def test_a_pin_from_before_the_trial_is_renewed_as_one_that_names_nobody(self, replica):
        pin = replica.pin()
        with pin:
            replica._set_trial(by_entity())
            pin.renew()
            assert pin.snapshot.version == 3
            replica._set_trial(by_worker())
            pin.renew()
            assert pin.snapshot.version == 5


class TestAWholeReplica:
    def test_pays_for_it_only_meanwhile(self, replica):
        plain = type(replica)
        replica._set_trial(by_entity())
        assert type(replica) is not plain
        assert isinstance(replica, Replica)
        assert isinstance(replica.pin(), TrialPin)
        replica._set_trial(None)
        assert type(replica) is plain
        assert type(replica.pin()) is Pin
        assert repr(replica) == "Replica(Config, name='app': version 3)"

    def test_that_is_only_declared_has_no_pins_to_watch_yet(self):
        replica = Replica(Config, name="declared")
        replica._set_trial(by_entity())
        with pytest.raises(Exception, match="no configuration yet"):
            replica.pin()
        replica._take(COMMITTED)
        assert isinstance(replica.pin(), TrialPin)

    def test_has_no_trial_in_a_test_and_has_it_again_afterwards(self, replica):
        trial = by_worker()
        replica._set_trial(trial)
        with replica.override(Config(9)), replica.pin(entity=INSIDE) as config:
            assert config.size == 9
        with replica.pin() as config:
            assert config.size == 5

    def test_takes_a_trial_that_begins_or_ends_in_a_test_after_it(self, replica):
        with replica.override(Config(9)), replica.override(Config(10)):
            replica._receive_trial(by_worker())
            with replica.pin() as config:
                assert config.size == 10
        with replica.pin() as config:
            assert config.size == 5
        with replica.override(Config(9)):
            replica._receive_trial(None)
        with replica.pin() as config:
            assert config.size == 3

    @pytest.mark.parametrize("end", ["close", "_after_fork"])
    def test_drops_it_at_its_end(self, replica, end):
        replica._set_trial(by_worker())
        getattr(replica, end)()
        with replica.pin() as config:
            assert config.size == 3

    def test_keeps_no_version_whose_trial_is_over(self, replica):
        snapshot = Snapshot(Config(5), 5, b"5")
        replica._set_trial(Trial(snapshot))
        with replica.pin():
            pass
        replica._set_trial(None)
        assert not [each for each in gc.get_referrers(snapshot) if isinstance(each, Pin | Trial | Replica)]


class TestCounting:
    def test_a_pin_counts_once_at_its_end(self, replica, counted):
        replica._set_trial(by_entity())
        pin = replica.pin()
        with pin:
            assert counted(3) == (0, 0, 0)
        pin.__exit__(None, None, None)
        assert counted(3) == (1, 0, 0)

    def test_what_is_pinned_inside_is_no_second_request(self, replica, counted):
        replica._set_trial(by_worker())
        with replica.pin(), replica.pin():
            pass
        assert (counted(3), counted(5)) == ((0, 0, 0), (1, 0, 0))

    def test_it_says_whether_an_entity_was_named(self, replica, counted):
        replica._set_trial(by_entity())
        for entity in (INSIDE, OUTSIDE, "", None):
            with replica.pin(entity=entity):
                pass
        assert (counted(5), counted(3)) == ((1, 0, 1), (3, 0, 1))

    def test_an_entity_that_is_named_inside_counts_where_it_was_served(self, replica, counted):
        replica._set_trial(by_entity())
        with replica.pin(), replica.pin(entity=OUTSIDE):
            pass
        assert counted(3) == (1, 0, 1), "the same version: one request that named an entity"
        with replica.pin(), replica.pin(entity=INSIDE):
            pass
        assert (counted(5), counted(3)) == ((1, 0, 1), (2, 0, 1))

    def test_what_fails_inside_counts_against_the_version_inside(self, replica, counted):
        replica._set_trial(by_entity())
        with pytest.raises(ValueError, match="inside"), replica.pin(), replica.pin(entity=INSIDE):
            raise ValueError("inside")
        assert (counted(5), counted(3)) == ((1, 1, 1), (0, 0, 0))

    def test_each_message_of_a_connection_counts(self, replica, counted):
        replica._set_trial(by_entity())
        with replica.pin(entity=INSIDE):
            pin = replica._pinned.get()
            pin.renew()
        pin.renew()
        assert counted(5) == (2, 0, 2)

    @pytest.mark.parametrize("free_threaded", [False, True])
    def test_a_lock_counts_the_same(self, replica, counted, monkeypatch, free_threaded):
        monkeypatch.setattr(pins, "IS_FREE_THREADED", free_threaded)
        replica._set_trial(by_entity())
        with pytest.raises(ValueError, match="no"), replica.pin(entity=INSIDE):
            raise ValueError("no")
        assert counted(5) == (1, 1, 1)


class TestIdentify:
    def headers(self, request: dict) -> dict:
        request["asked"] += 1
        return request["headers"]

    def request(self, user: str | None = None) -> dict:
        return {"asked": 0, "headers": {} if user is None else {"x-user": user}}

    def served(self, replica, request: dict) -> int:
        with replica._pin_for(request, self.headers):
            return replica.version

    @pytest.fixture
    def identified(self, replica) -> Replica[Config]:
        @replica.identify
        def user(headers):
            return headers.get("x-user")

        assert user({"x-user": "ada"}) == "ada", "a decorator gives the function back"
        return replica

    @pytest.mark.parametrize(("user", "version"), [(INSIDE, 5), (OUTSIDE, 3), ("", 3), (None, 3)])
    def test_a_request_is_pinned_for_the_entity_that_it_names(self, identified, user, version):
        identified._set_trial(by_entity())
        request = self.request(user)
        assert self.served(identified, request) == version
        assert request["asked"] == 1

    @pytest.mark.parametrize("trial", [None, by_worker(), by_entity(begun=False)], ids=["none", "by worker", "waits"])
    def test_is_not_asked_where_nothing_is_chosen_by_entity(self, identified, trial):
        identified._set_trial(trial)
        request = self.request(INSIDE)
        assert self.served(identified, request) == (5 if trial is not None and trial.begun else 3)
        assert request["asked"] == 0

    def test_is_asked_once_a_request(self, identified):
        identified._set_trial(by_entity())
        request = self.request(INSIDE)
        with identified._pin_for(request, self.headers), identified._pin_for(request, self.headers):
            assert identified.version == 5
        assert request["asked"] == 1

    def test_without_a_function_requests_name_nobody(self, replica):
        replica._set_trial(by_entity())
        request = self.request(INSIDE)
        assert (self.served(replica, request), request["asked"]) == (3, 0)

    @pytest.mark.parametrize(
        ("function", "what"),
        [
            (lambda headers: headers["x-token"], "raised KeyError"),
            (lambda headers: [1], "has given a list"),
        ],
        ids=["raises", "gives nonsense"],
    )
    def test_one_that_fails_names_nobody_and_that_is_logged_once_and_counted(self, replica, caplog, function, what):
        replica.identify(function)
        replica._set_trial(by_entity())
        for _ in range(3):
            assert self.served(replica, self.request(INSIDE)) == 3
        assert replica._identity.failures == 3
        (record,) = caplog.records
        assert what in record.getMessage()
        assert record.exc_info is None, "its text may show a header"

    def test_what_is_no_function_is_refused(self, replica):
        async def later(headers):
            return None

        for wrong in (later, "x-user", None):
            with pytest.raises(TypeError, match="identify"):
                replica.identify(wrong)
