"""Stages count hosts: how they are written, and which hosts each of them has."""

from __future__ import annotations

import pytest

from confcast.fleet.head import Head, Rollout, is_meant
from confcast.fleet.reports import Report, Seen
from confcast.fleet.rollout.stages import at_stage, before_stage, first_of, is_last, number_of, parse_ring, parse_stages

A, B = "a" * 64, "b" * 64


def fleet(number: int, **labels: str) -> list[Seen]:
    return [Seen(Report(f"host-{index}", labels=labels), 0.0) for index in range(number)]


def rollout_head(stages: str, rings: tuple[str, ...] = (), salt: str = "s") -> Head:
    rollout = Rollout(parse_stages(stages), rings=rings)
    return Head(A, next=B, salt=salt, rollout=rollout)


def meant(head: Head, hosts: list[Seen]) -> set[str]:
    return {each.report.host for each in hosts if is_meant(head, each.report.host, each.report.labels)}


@pytest.mark.parametrize(
    ("text", "stages"),
    [
        ("1 host, 10%, 100%", ("1 host", "10%", "100%")),
        ("1,100%", ("1 host", "100%")),
        (" 2hosts , 25 hosts,0.5 %,100 %", ("2 hosts", "25 hosts", "0.5%", "100%")),
        ("100%", ("100%",)),
    ],
)
def test_stages_are_numbers_of_hosts_and_shares(text: str, stages: tuple[str, ...]):
    assert parse_stages(text) == stages


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is no stage"),
        ("1 host, 10%", "the last stage has to be 100%"),
        ("10%, 10%, 100%", "no larger than 10%"),
        ("5 hosts, 2 hosts, 100%", "the stage 2 hosts is no larger than 5 hosts"),
        ("0 hosts, 100%", "'0 hosts' is no stage"),
        ("0%, 100%", "'0%' is no stage"),
        ("101%", "'101%' is no stage"),
        ("ten, 100%", "give a number of hosts, as in '1 host', or a share, as in '10%'"),
        (", ".join(f"{each} hosts" for each in range(1, 20)) + ", 100%", "20 stages are too many"),
    ],
)
def test_what_is_no_list_of_stages_is_refused_in_words(text: str, said: str):
    with pytest.raises(ValueError, match=r".") as caught:
        parse_stages(text)
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["canary", "=canary", "ring=", "a b=c", "ring=a=b"])
def test_what_is_no_label_is_refused(text: str):
    with pytest.raises(ValueError, match="no label: LABEL=VALUE is expected"):
        parse_ring(text)


@pytest.mark.parametrize("number", [1, 2, 7, 50, 333])
@pytest.mark.parametrize("salt", ["a", "b", "c"])
def test_a_stage_has_as_many_hosts_as_it_says_and_at_least_one(number: int, salt: str):
    hosts = fleet(number)
    head = rollout_head("1 host, 3 hosts, 10%, 50%, 100%", salt=salt)
    before = set[str]()
    for index, goal in enumerate((1, 3, number // 10, number // 2, number)):
        head = at_stage(head, index, hosts)
        has = meant(head, hosts)
        assert len(has) == max(len(before), min(number, max(1, goal)))
        assert before <= has, "growing keeps those that have it"
        before = has
    assert head.percent == 100.0
    assert is_last(head.rollout, 4)


def test_rings_come_first_and_their_hosts_count():
    canaries = [Seen(Report(f"canary-{index}", labels={"ring": "canary"}), 0.0) for index in range(3)]
    early = [Seen(Report("early", labels={"ring": "early", "zone": "a"}), 0.0)]
    hosts = [*fleet(96), *canaries, *early]
    head = rollout_head("2 hosts, 10%, 100%", rings=("ring=canary", "ring=early"))
    assert first_of(head.rollout) == -2
    head = at_stage(head, -2, hosts)
    assert meant(head, hosts) == {"canary-0", "canary-1", "canary-2"}
    assert number_of(head.rollout, -2) == (1, 5)
    head = at_stage(head, -1, hosts)
    assert len(meant(head, hosts)) == 4
    head = at_stage(head, 0, hosts)
    assert len(meant(head, hosts)) == 4, "the rings have more hosts already"
    head = at_stage(head, 1, hosts)
    assert len(meant(head, hosts)) == 10
    assert meant(before_stage(head, hosts), hosts) == {"canary-0", "canary-1", "canary-2", "early"}


def test_a_stage_without_hosts_is_for_none():
    head = at_stage(rollout_head("1 host, 100%"), 0, [])
    assert (head.percent, head.rings) == (0.0, ())
    assert meant(head, fleet(20)) == set()
