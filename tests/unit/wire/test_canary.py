"""A canary: what it may say, how many workers that means, and that it travels; and the flags that say it."""

from __future__ import annotations

import argparse
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from confcast import Canary
from confcast.wire import canary_flags


@pytest.mark.parametrize(
    ("canary", "of_workers"),
    [
        (Canary(1), {1: 0, 2: 1, 8: 1}),
        (Canary(3), {1: 0, 2: 1, 3: 2, 8: 3}),
        (Canary("25%"), {1: 0, 2: 1, 4: 1, 5: 2, 8: 2}),
        (Canary("100%"), {1: 0, 2: 1, 8: 7}),
        (Canary("0.5%"), {1: 0, 2: 1, 8: 1}),
    ],
)
def test_there_is_one_canary_at_least_and_all_workers_but_one_at_most(
    canary: Canary, of_workers: dict[int, int]
) -> None:
    assert {total: canary.workers_of(total) for total in of_workers} == of_workers


def test_a_share_is_exact_and_only_what_is_left_over_is_one_more() -> None:
    for thousandths in (*range(100, 99_001, 100), 1, 12_345):
        canary = Canary(f"{thousandths / 1000:g}%")
        for total in (8, 25, 50, 100, 1000):
            wanted = -(-total * thousandths // 100_000)
            assert canary.workers_of(total) == min(max(1, wanted), total - 1), (canary, total)


@pytest.mark.parametrize(
    ("size", "how", "words"),
    [
        (
            "25",
            {},
            "size='25': a number of workers, 1 or more, or a share such as '25%' is expected; did you mean '25%'?",
        ),
        (0, {}, "size=0: "),
        (True, {}, "size=True: "),
        ("0%", {}, "size='0%': "),
        ("101%", {}, "size='101%': "),
        ("a quarter", {}, "size='a quarter': "),
        (1, {"seconds": 0}, "seconds=0: a number above 0"),
        (1, {"seconds": timedelta(days=8)}, "at most 604800"),
        (1, {"by": "user"}, "by='user': 'worker' or 'entity' is expected"),
        (1, {"by": "entity"}, "size=1 with by='entity': a share of the entities such as '5%' is expected"),
        (1, {"min_requests": -1}, "min_requests=-1: "),
        (1, {"inconclusive": "wait"}, "inconclusive='wait': 'undo' or 'promote' is expected"),
    ],
)
def test_what_a_canary_can_not_say_is_refused_in_words(size: Any, how: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        Canary(size, **how)
    assert words in str(caught.value)


def test_a_canary_travels_with_its_seconds_as_a_number() -> None:
    canary = Canary("5%", seconds=timedelta(minutes=2), by="entity", min_requests=7, inconclusive="promote")
    assert canary.time == 120.0
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(canary), type=Canary) == canary


def taken(*words: str, prefix: str = "") -> Canary | None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    canary_flags.add_to(parser, prefix)
    return canary_flags.taken(vars(parser.parse_args(words)))


def test_flags_say_a_canary() -> None:
    assert taken() is None
    assert taken("--canary", "2") == Canary(2)
    assert taken("--canary=25%", "--for=90", "--min-requests=0") == Canary("25%", seconds=90.0, min_requests=0)
    assert taken("--canary=5%", "--canary-by=entity", prefix="canary-") == Canary("5%", by="entity")


def test_flags_without_a_size_or_that_do_not_fit_are_refused_in_words() -> None:
    with pytest.raises(ValueError, match="--canary SIZE is missing"):
        taken("--for=90")
    with pytest.raises(ValueError, match="a share of the entities"):
        taken("--canary=2", "--by=entity")
    with pytest.raises(argparse.ArgumentError, match="'many': a number of workers, 1 or more"):
        taken("--canary=many")
