"""Jobs for when nothing is under way: when they are due, and how often they are done."""

from __future__ import annotations

from confcast.owner.loop.mailbox import IdleTasks


def test_a_job_is_done_until_it_wants_no_more() -> None:
    jobs, done = IdleTasks(), []
    pauses = iter([2.0, 3.0, 0.0])

    def job() -> float:
        done.append(now)
        return next(pauses)

    jobs.add(job)
    for now in (10.0, 11.0, 12.0, 14.9, 15.0, 99.0):
        jobs.do(now)

    assert done == [10.0, 12.0, 15.0]
    assert jobs.next() == []


def test_what_waits_says_when_it_is_due() -> None:
    jobs = IdleTasks()
    jobs.add(lambda: 5.0)
    assert jobs.next() == [0.0]

    jobs.do(10.0)

    assert jobs.next() == [15.0]


def test_a_job_may_add_another() -> None:
    jobs, done = IdleTasks(), []

    def first() -> float:
        jobs.add(lambda: done.append("second") or 0.0)
        return 0.0

    jobs.add(first)
    jobs.do(1.0)
    jobs.do(1.0)

    assert done == ["second"]
