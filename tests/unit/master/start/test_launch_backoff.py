"""How long after an owner's death the next one starts: by what became of it, and of those before it."""

from __future__ import annotations

from confcast.master.start.launch import Backoff

LONG, YOUNG, NEVER = 6.0, 1.0, None


def pauses(*lives: float | None) -> list[float]:
    """After each of these deaths, in seconds."""
    backoff = Backoff()
    return [backoff.after(served) for served in lives]


def test_who_served_for_a_while_is_replaced_at_once() -> None:
    assert pauses(LONG, LONG) == [0.0, 0.0]


def test_those_that_die_young_are_replaced_ever_more_slowly_up_to_a_limit() -> None:
    assert pauses(*[YOUNG] * 11) == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]


def test_so_are_those_that_never_serve_however_long_they_take_to_fail() -> None:
    assert pauses(*[NEVER] * 4) == [0.1, 0.2, 0.4, 0.8]


def test_one_that_served_for_a_while_ends_both_rows() -> None:
    assert pauses(YOUNG, NEVER, LONG, YOUNG, NEVER) == [0.1, 0.1, 0.0, 0.1, 0.1]


def test_a_healthy_one_does_not_pay_for_those_that_could_not_start() -> None:
    assert pauses(*[NEVER] * 12, YOUNG)[-1] == 0.1


def test_those_that_serve_and_die_are_slowed_down_whatever_comes_in_between() -> None:
    assert pauses(*[YOUNG, NEVER] * 9, YOUNG)[::2] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0]
