"""What the machine of a rollout decides, case by case; `test_simulated_rollouts.py` tries schedules by chance."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from confcast.fleet.head import Head, Rollout, is_meant
from confcast.fleet.reports import BEAT, SEEN_WITHIN, Report, Seen, State
from confcast.fleet.rollout.machine import (
    GAP,
    LOST_AFTER,
    STEADY,
    Decision,
    Machine,
    Promote,
    StandDown,
    Stop,
    Wait,
    Widen,
    begun,
)

STABLE, NEXT = "a" * 64, "b" * 64
TICK = 1.0


class Fleet:
    """Hosts, the present head, and a machine that is asked once each second."""

    def __init__(self, number: int, stages: tuple[str, ...] = ("1 host", "10%", "100%"), **how: object) -> None:
        labels = how.pop("labels", {})
        self.hosts = {f"h{each}": Seen(Report(f"h{each}", labels=labels), 0.0) for each in range(number)}
        options = {"bake": 10.0, "min_acks": 20, "max_refused": 0, "max_lag": 5.0, **how}
        rollout = Rollout(stages, **options)
        self.head: Head | None = begun(STABLE, NEXT, rollout, "salt", 1, self.hosts)
        self.machine = Machine(self.head)
        self.now = 1000.0

    def meant(self) -> list[str]:
        assert self.head is not None
        return [host for host, each in self.hosts.items() if is_meant(self.head, host, each.report.labels)]

    def say(self, hosts: Iterable[str], state: State, **more: object) -> None:
        for host in hosts:
            before = self.hosts[host]
            said = {"digest": NEXT, "salt": "salt", "state": state, **more}
            report = msgspec.structs.replace(before.report, **said)
            self.hosts[host] = Seen(report, 0.0, before.connected)

    def age(self, host: str, age: float, *, connected: bool = False) -> None:
        self.hosts[host] = Seen(self.hosts[host].report, age, connected)

    def step(self, seconds: float = TICK) -> Decision:
        self.now += seconds
        decision = self.machine.step(self.now, self.head, self.hosts)
        if isinstance(decision, Widen | Promote | Stop):
            self.head = decision.head
        return decision

    def after(self, seconds: float) -> Decision:
        """The first decision that is none to wait, within so many seconds; else the last."""
        for _ in range(int(seconds / TICK)):
            if not isinstance(decision := self.step(), Wait):
                return decision
        return decision

    def waits_for(self) -> str:
        decision = self.step()
        assert isinstance(decision, Wait), decision
        return decision.progress.waits_for


def test_a_good_version_passes_each_stage_after_its_bake_and_becomes_stable():
    fleet = Fleet(50)
    for size in (1, 5, 50):
        assert len(fleet.meant()) == size
        fleet.say(fleet.meant(), "applied", good_in=3.0)
        assert isinstance(fleet.after(2.0), Wait)
        fleet.say(fleet.meant(), "good")
        assert isinstance(fleet.after(10.0), Wait), "the bake begins when the last good is read"
        passed = fleet.after(2.0)
    assert isinstance(passed, Promote)
    assert passed.head == Head(NEXT, salt="salt", rev=4)
    assert passed.detail == "50 of 50 hosts are good"


def test_a_stage_needs_min_acks_or_all_of_its_hosts():
    fleet = Fleet(100, ("50%", "100%"), min_acks=3)
    meant = fleet.meant()
    fleet.say(meant, "applied")
    fleet.say(meant[:2], "good")
    assert fleet.waits_for() == "1 more good host"
    assert isinstance(fleet.after(60.0), Wait)
    fleet.say(meant[:3], "good")
    assert isinstance(fleet.after(12.0), Widen)


def test_what_earlier_stages_proved_does_not_pass_a_later_one():
    fleet = Fleet(100, ("50%", "100%"), min_acks=3)
    fleet.say(fleet.meant(), "good")
    assert isinstance(fleet.after(12.0), Widen)
    fresh = [host for host in fleet.meant() if fleet.hosts[host].report.state != "good"]
    assert len(fresh) == 50
    fleet.say(fresh, "applied")
    assert fleet.waits_for() == "3 more good hosts"
    assert isinstance(fleet.after(60.0), Wait)


def test_a_stage_that_adds_no_host_is_no_hindrance():
    fleet = Fleet(5)  # a tenth of five hosts is one, which has it already
    for size in (1, 1, 5):
        assert len(fleet.meant()) == size
        fleet.say(fleet.meant(), "good")
        passed = fleet.after(12.0)
    assert isinstance(passed, Promote)


def test_nothing_passes_by_the_absence_of_refusals():
    fleet = Fleet(0)
    assert fleet.waits_for() == "a host: none is there"
    assert isinstance(fleet.after(500.0), Wait)


def test_an_empty_stage_gets_its_host_when_one_comes():
    fleet = Fleet(0)
    fleet.step()
    fleet.hosts = {f"h{each}": Seen(Report(f"h{each}"), 0.0) for each in range(10)}
    assert isinstance(fleet.after(STEADY), Wait)
    filled = fleet.step()
    assert isinstance(filled, Widen)
    assert len(fleet.meant()) == 1
    assert fleet.head is not None
    assert fleet.head.rollout is not None
    assert fleet.head.rollout.stage == 0
    assert filled.detail == "hosts have come: stage 1 of 3 begins: 1 host"
    fleet.say(fleet.meant(), "good")
    assert isinstance(fleet.after(12.0), Widen)


def test_an_empty_stage_does_not_take_the_first_hosts_of_a_fleet_that_comes_for_all_of_it():
    fleet = Fleet(0)
    fleet.step()
    for each in range(50):
        fleet.hosts[f"h{each}"] = Seen(Report(f"h{each}"), 0.0)
        assert isinstance(fleet.after(2.0), Wait)
    assert fleet.waits_for() == "the end of a fleet's coming: there are 50 hosts now"
    assert isinstance(fleet.after(STEADY), Widen)
    assert len(fleet.meant()) == 1


def test_a_ring_without_a_host_waits_and_says_so():
    fleet = Fleet(10, rings=("ring=canary",))
    assert fleet.waits_for() == "a host with the label ring=canary: none is there"
    assert isinstance(fleet.after(100.0), Wait)
    fleet.hosts["c"] = Seen(Report("c", labels={"ring": "canary"}), 0.0)
    fleet.say(["c"], "good")
    assert isinstance(fleet.after(12.0), Widen)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("refused", "h0 refused it: port: too large"),
        ("undone", "h0 has taken it back: port: too large"),
        ("fault", "h0 can't use it: port: too large"),
    ],
)
def test_one_host_against_it_stops_it(state: State, said: str):
    fleet = Fleet(3, ("100%",))
    fleet.say(["h1", "h2"], "good")
    fleet.say(["h0"], state, reason="port: too large")
    stopped = fleet.step()
    assert isinstance(stopped, Stop)
    assert stopped.detail == said
    assert stopped.head == Head(STABLE, salt="salt", rev=2, why=said)


def test_so_many_may_refuse_and_one_more_stops_it_though_the_first_has_changed_its_mind():
    fleet = Fleet(10, ("50%", "100%"), max_refused=1)
    meant = fleet.meant()
    fleet.say(meant, "good")
    fleet.say(meant[:1], "refused", reason="no")
    assert isinstance(fleet.after(9.0), Wait)
    assert isinstance(fleet.after(3.0), Widen), "a refusal that is allowed is not needed"
    fleet.say(meant[:1], "good")
    fresh = [host for host in fleet.meant() if host not in meant]
    fleet.say(fresh, "good")
    fleet.say(fresh[:1], "refused", reason="port: too large")
    stopped = fleet.step()
    assert isinstance(stopped, Stop)
    name = fresh[0]
    assert stopped.detail == f"2 hosts are against it, and 1 may be; the last: {name} refused it: port: too large"


def test_if_all_that_are_meant_refuse_it_it_is_stopped_whatever_is_allowed():
    fleet = Fleet(10, max_refused=5)
    fleet.say(fleet.meant(), "refused", reason="port: too large")
    stopped = fleet.step()
    assert isinstance(stopped, Stop)
    (name,) = (host for host, each in fleet.hosts.items() if each.report.state == "refused")
    assert stopped.detail == f"no host is left that could pass the stage; the last: {name} refused it: port: too large"


def test_if_all_that_are_new_in_a_stage_refuse_it_it_is_stopped_whatever_is_allowed():
    fleet = Fleet(10, ("80%", "100%"), max_refused=5)
    fleet.say(fleet.meant(), "good")
    assert isinstance(fleet.after(12.0), Widen)
    fleet.say([host for host in fleet.meant() if fleet.hosts[host].report.state != "good"], "refused")
    assert isinstance(fleet.step(), Stop)


def test_a_host_that_does_not_answer_in_time_stops_it():
    fleet = Fleet(3, ("100%",), max_refused=2)
    fleet.say(["h1", "h2"], "good")
    assert isinstance(fleet.after(6.0), Wait)
    stopped = fleet.step()
    assert isinstance(stopped, Stop)
    assert stopped.detail == "h0 did not answer within 5 s"


def test_loading_is_no_answer_and_neither_is_what_was_said_under_another_rollout():
    fleet = Fleet(2, ("100%",))
    fleet.say(["h0"], "loading")
    fleet.say(["h1"], "good", salt="earlier")
    stopped = fleet.after(8.0)
    assert isinstance(stopped, Stop)
    assert stopped.detail == "h0, h1 did not answer within 5 s"


def test_a_host_that_comes_in_the_stage_has_its_own_time():
    fleet = Fleet(3, ("100%",))
    fleet.say(fleet.meant(), "good")
    fleet.after(5.0)
    fleet.hosts["new"] = Seen(Report("new"), 0.0)
    assert fleet.waits_for() == "the answer of new"
    assert isinstance(fleet.after(4.0), Wait)
    fleet.say(["new"], "good")
    assert isinstance(fleet.after(10.0), Wait), "the bake begins anew"
    assert isinstance(fleet.after(2.0), Promote)


def test_a_host_that_restarts_has_its_time_to_answer_once_more():
    fleet = Fleet(3, ("100%",))
    fleet.say(fleet.meant(), "applied", good_in=2.0)
    fleet.after(2.0)
    fleet.say(fleet.meant(), "good")
    fleet.after(8.0)
    fleet.say(["h0"], "loading", good_in=0.0)
    assert fleet.waits_for() == "the answer of h0"
    fleet.say(["h0"], "applied", good_in=2.0)
    assert isinstance(fleet.after(5.0), Wait), "it is tried anew, too"
    fleet.say(["h0"], "good")
    assert isinstance(fleet.after(10.0), Wait), "the bake begins anew"
    assert isinstance(fleet.after(2.0), Promote)
    fleet = Fleet(3, ("100%",))
    fleet.say(fleet.meant(), "good")
    fleet.after(8.0)
    fleet.say(["h0"], "loading")
    assert isinstance(fleet.after(5.0), Wait)
    stopped = fleet.after(2.0)
    assert isinstance(stopped, Stop)
    assert stopped.detail == "h0 did not answer within 5 s"


def test_a_host_that_comes_and_goes_and_never_answers_is_lag_all_the_same():
    fleet = Fleet(2, ("100%",), bake=60.0)
    fleet.say(fleet.meant(), "good")
    fleet.age("h0", 0.0, connected=True)
    fleet.after(8.0)
    fleet.say(["h0"], "loading")
    for _ in range(3):
        fleet.age("h0", 0.0, connected=False)
        assert isinstance(fleet.after(4.0), Wait)
        fleet.age("h0", 0.0, connected=True)
        stopped = fleet.after(3.0)
    assert isinstance(stopped, Stop)


def test_applied_that_is_not_good_by_the_time_it_said_is_lag():
    fleet = Fleet(1, ("100%",))
    fleet.say(["h0"], "applied", good_in=20.0)
    assert isinstance(fleet.after(26.0), Wait)
    stopped = fleet.step()
    assert isinstance(stopped, Stop)
    assert stopped.detail == "h0 applied it, and was not good within the time that it needs for that"


def test_a_part_of_its_workers_passes_nothing_and_is_lag_if_it_lasts():
    fleet = Fleet(3, ("100%",), min_acks=1, bake=1.0)
    fleet.say(["h1", "h2"], "good")
    fleet.say(["h0"], "partial", reason="1 of 4 workers have not applied it")
    assert fleet.waits_for() == "the other workers of h0"
    assert isinstance(fleet.after(4.0), Wait)
    fleet.say(["h0"], "good")
    assert isinstance(fleet.after(2.0), Promote)
    fleet = Fleet(3, ("100%",), max_refused=2)
    fleet.say(["h1", "h2"], "good")
    fleet.say(["h0"], "partial", reason="1 of 4 workers have not applied it")
    assert isinstance(fleet.after(6.0), Wait)
    stopped = fleet.step()
    assert isinstance(stopped, Stop)
    assert stopped.detail == "h0 has it in a part of its workers only: 1 of 4 workers have not applied it"


def test_applied_without_a_time_is_waited_for():
    fleet = Fleet(1, ("100%",))
    fleet.say(["h0"], "applied")
    assert isinstance(fleet.after(500.0), Wait)


def test_a_held_host_is_no_evidence_and_no_lag():
    fleet = Fleet(3, ("100%",))
    fleet.say(["h0", "h1"], "good")
    fleet.say(["h2"], "held")
    assert isinstance(fleet.after(100.0), Wait)
    assert fleet.waits_for() == "1 more good host (h2 held; `confcast fleet confirm` passes the stage)"


def test_a_host_that_is_away_is_no_lag_and_no_evidence():
    fleet = Fleet(3, ("100%",))
    fleet.say(["h0", "h1", "h2"], "good")
    fleet.age("h2", SEEN_WITHIN + 1)
    fleet.say(["h0", "h1"], "good")
    assert isinstance(fleet.after(12.0), Promote)
    lonely = Fleet(1, ("100%",))
    lonely.say(["h0"], "good")
    lonely.age("h0", SEEN_WITHIN + 1)
    assert lonely.waits_for() == "a host: all that it is meant for (1) are away"
    assert isinstance(lonely.after(100.0), Wait)


def test_a_host_that_has_missed_a_report_is_no_evidence_any_more():
    fleet = Fleet(2, ("100%",))
    fleet.say(["h0", "h1"], "good")
    fleet.after(5.0)
    fleet.age("h1", 2 * BEAT)
    assert fleet.waits_for() == "1 more good host"
    assert isinstance(fleet.after(60.0), Wait)


def test_a_host_that_a_stage_had_is_needed_until_it_is_lost_and_then_it_stops_it():
    fleet = Fleet(3, ("100%",))
    fleet.say(fleet.meant(), "good")
    fleet.after(5.0)
    del fleet.hosts["h2"]  # a gateway was restarted, or the host has died
    assert fleet.waits_for() == "a sign of life of h2"
    assert isinstance(fleet.after(LOST_AFTER - 2), Wait)
    stopped = fleet.after(4.0)
    assert isinstance(stopped, Stop)
    assert stopped.detail == "h2 was lost: nothing was heard of it for 30 s"


def test_a_stream_that_is_closed_and_comes_back_begins_the_bake_anew():
    fleet = Fleet(2, ("100%",))
    fleet.say(fleet.meant(), "good")
    fleet.age("h0", 0.0, connected=True)
    fleet.after(8.0)
    fleet.age("h0", 1.0, connected=False)
    assert fleet.waits_for() == "a sign of life of h0"
    fleet.age("h0", 0.0, connected=True)
    assert isinstance(fleet.after(10.0), Wait)
    assert isinstance(fleet.after(2.0), Promote)


def test_hosts_that_are_lost_count_with_those_that_refuse():
    fleet = Fleet(5, ("100%",), max_refused=1)
    fleet.say(fleet.meant(), "good")
    fleet.step()
    del fleet.hosts["h4"]
    assert isinstance(fleet.after(LOST_AFTER + 11), Wait), "one is allowed"
    assert isinstance(fleet.after(5.0), Promote)


def test_a_lost_host_that_is_back_is_needed_again():
    fleet = Fleet(2, ("100%",), max_refused=1)
    fleet.say(fleet.meant(), "good")
    fleet.step()
    back = fleet.hosts.pop("h1")
    assert isinstance(fleet.after(LOST_AFTER + 5), Wait)
    fleet.hosts["h1"] = back
    fleet.say(["h1"], "applied")
    assert fleet.waits_for() == "1 more good host"
    assert isinstance(fleet.after(60.0), Wait)
    fleet.say(["h1"], "good")
    assert isinstance(fleet.after(12.0), Promote)


def test_half_of_the_hosts_cut_off_pass_nothing():
    fleet = Fleet(20, ("50%", "100%"), max_refused=100, max_lag=1000.0)
    half = fleet.meant()
    fleet.step()
    fleet.say(half[:5], "good")
    assert isinstance(fleet.after(300.0), Wait)
    for host in half[5:]:
        fleet.age(host, SEEN_WITHIN + 1)
    assert isinstance(fleet.after(LOST_AFTER - 1), Wait)
    strict = Fleet(20, ("50%", "100%"))
    strict.say(strict.meant()[:5], "good")
    assert isinstance(strict.after(8.0), Stop)


def test_a_gap_begins_all_clocks_anew():
    fleet = Fleet(2, ("100%",))
    fleet.say(["h0"], "good")
    assert isinstance(fleet.after(4.0), Wait)
    assert isinstance(fleet.step(100.0), Wait), "a host that could not hear of it does not lag"
    fleet.say(["h1"], "good")
    fleet.after(9.0)
    assert isinstance(fleet.step(GAP + 1), Wait), "a bake that nobody has watched proves nothing"
    assert isinstance(fleet.after(9.0), Wait)
    assert isinstance(fleet.after(1.0), Promote)


def test_an_engine_that_is_slow_delays_what_is_decided_and_does_not_prevent_it():
    fleet = Fleet(2, ("100%",), bake=4.0)
    fleet.say(["h0"], "good")
    for _ in range(6):
        assert isinstance(fleet.step(4.0), Wait), "a host had no chance to answer while the engine hung"
    fleet.say(["h1"], "good")
    for _ in range(4):
        assert isinstance(fleet.step(4.0), Wait)
    assert isinstance(fleet.step(4.0), Promote)
    fleet = Fleet(2, ("100%",))
    fleet.say(["h0"], "good")
    for _ in range(6):
        assert isinstance(fleet.step(4.0), Wait)
    assert isinstance(fleet.step(4.0), Stop)


def test_a_new_controller_bakes_the_stage_anew():
    fleet = Fleet(1, ("100%",))
    fleet.say(["h0"], "good")
    fleet.after(9.0)
    assert fleet.head is not None
    fleet.machine = Machine(fleet.head)
    assert isinstance(fleet.after(10.0), Wait)
    assert isinstance(fleet.after(1.0), Promote)


def test_a_stage_that_somebody_else_has_passed_begins_the_clocks_anew():
    fleet = Fleet(10, ("1 host", "100%"))
    fleet.say(fleet.meant(), "good")
    fleet.after(9.0)
    head = fleet.head
    assert head is not None
    assert head.rollout is not None
    fleet.head = msgspec.structs.replace(head, percent=100.0, rollout=msgspec.structs.replace(head.rollout, stage=1))
    fleet.say(fleet.meant(), "good")
    assert isinstance(fleet.after(10.0), Wait)
    assert isinstance(fleet.after(2.0), Promote)


@pytest.mark.parametrize(
    ("change", "end"),
    [
        ({"salt": "another"}, "replaced"),
        ({"next": None, "rollout": None}, "ended"),
        ({"next": None, "rollout": None, "stable": NEXT}, "promoted"),
        ({"next": None, "rollout": None, "stable": "c" * 64}, "replaced"),
        ({"next": "c" * 64}, "replaced"),
        ({"stable": "c" * 64}, "replaced"),
        (None, "gone"),
    ],
)
def test_another_head_is_nobodys_to_change(change: dict[str, object] | None, end: str):
    fleet = Fleet(1)
    fleet.step()
    assert fleet.head is not None
    fleet.head = None if change is None else msgspec.structs.replace(fleet.head, **change)
    fleet.say(["h0"], "refused")
    decision = fleet.step()
    assert isinstance(decision, StandDown)
    assert decision.end == end


def test_a_head_without_a_rollout_has_no_machine():
    with pytest.raises(ValueError, match="without a rollout"):
        Machine(Head(STABLE))


def test_what_speaks_against_it_counts_wherever_the_host_is_now():
    fleet = Fleet(10)
    away = next(host for host in fleet.hosts if host not in fleet.meant())
    fleet.say([away], "undone", reason="its workers died")
    fleet.age(away, SEEN_WITHIN + 1)
    stopped = fleet.step()
    assert isinstance(stopped, Stop)
    assert "its workers died" in stopped.detail
