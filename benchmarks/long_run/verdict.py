"""Whether anything has grown, by the looks of a long run alone. Pure.

What the first tenth has made (caches, arenas of malloc, a journal of fifty versions) is not judged, nor what a process
makes in its first 3,000 reloads. It is still some ten bytes a reload for 40,000 reloads, though nothing more is in use:
buffers that come and go reach pages of an arena's free room for the first time. From then on:

- **Descriptors and threads** are exact. A process that was there in the first tenth always has more of them in the last
  third of its life than it ever had in that tenth, or it has not grown; for a younger one the first quarter of its own
  life counts. And those that are born late have no more than those that were born early: a descriptor that a master
  leaks is in each worker that it forks.
- **Memory** is judged by a robust slope (Theil and Sen): the median of the slopes between any two looks at the same
  process. Processes that are replaced count with all their lives together. A slope is growth where it is above the
  bound, and comes to more than the slack within the time that one process was looked at: malloc takes from the kernel,
  and gives back, in steps. What young processes have is judged by the same slope, over those that are born one after
  another.
- **Files** by the same slope, and **entries** of folders exactly. The log grows with each reload, and may not grow
  more with each: the median of the last third is compared with that of the first one.

Rejected: the last look beside the first (either may be a peak), and least squares (one step of malloc's tips the line).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median
from typing import NamedTuple

from benchmarks.long_run.looks import Has, Look
from benchmarks.rows import Row, against_limit, exactly

MOST_MEMORY = 256.0
"""KiB that a process may grow by in 10,000 reloads: 26 bytes a reload."""
MOST_FILES = 256.0
"""KiB that a folder may grow by in 10,000 reloads."""
SLACK = 512.0
"""KiB that malloc's or SQLite's steps come to."""
MOST_LOG = 1.25
"""What is logged a reload at the end, through that of the beginning."""
WARM_UP = 3000
"""Reloads in which a process reaches its size."""
_UNIT = 10_000
_LEAST, _LEAST_LATE = 3, 6
"""Looks at one process that a slope needs; and looks after its first ones that say whether it has more."""

Point = tuple[int, float]


class Life(NamedTuple):
    """One process through all looks: at how many reloads, and what it had."""

    role: str
    points: list[tuple[int, Has]]
    from_the_first: bool


def judge(looks: Sequence[Look], judged: Iterable[str]) -> list[Row]:
    """A row for each thing that must not grow; `judged` are the roles that are ours."""
    end = looks[-1].reloads
    lives, rows = _lives(looks), list[Row]()
    for role in judged:
        mine = [life for life in lives if life.role == role]
        rows += [_exact(role, kind, mine, end) for kind in ("descriptors", "threads")]
        rows += _of_memory(role, mine, end)
    return [*rows, *_of_files(looks)]


def _lives(looks: Sequence[Look]) -> list[Life]:
    first, end = looks[0].reloads, looks[-1].reloads
    found: dict[tuple[str, int], list[tuple[int, Has]]] = {}
    for look in looks:
        for each in look.processes:
            found.setdefault((each.role, each.pid), []).append((look.reloads, each))
    return [Life(role, points, points[0][0] <= max(first, end / 10)) for (role, _), points in found.items()]


# ---- descriptors and threads


def _exact(role: str, kind: str, lives: Sequence[Life], end: int) -> Row:
    of: Callable[[Has], int] = lambda each: getattr(each, kind)  # noqa: E731
    gained = max([*(_gained(life, of, end) for life in lives), _gained_at_birth(lives, of, end)], default=0)
    return exactly(f"{role}: {kind} more than at first", gained, 0)


def _gained(life: Life, of: Callable[[Has], int], end: int) -> float:
    """How many more a process has throughout the last part of its life than it ever had at first."""
    values = [of(each) for _, each in life.points]
    early = [of(each) for at, each in life.points if life.from_the_first and at <= end / 10]
    if len(values) - len(early) < _LEAST_LATE:
        early = []
    early = early or values[: max(2, len(values) // 4)]  # at its first look a process may have done nothing yet
    late = values[-((len(values) - len(early)) // 3) :] if len(values) - len(early) >= _LEAST_LATE else []
    return max(0, min(late, default=0) - max(early))


def _gained_at_birth(lives: Sequence[Life], of: Callable[[Has], int], end: int) -> float:
    """How many more those have that are born in the last third of a run than those that are born in its first third."""
    births = [(at, of(each)) for at, each in _young(lives)]
    early = [value for at, value in births if at <= end / 3]
    late = [value for at, value in births if at > end * 2 / 3]
    return max(0, median(late) - max(early)) if early and len(late) >= _LEAST else 0


def _young(lives: Sequence[Life]) -> list[tuple[int, Has]]:
    """What those have that were born on the way, at the second look: by then they have done all that they do.

    Those that were there at first were forked by a master that had done nothing yet.
    """
    return sorted(
        (life.points[1] for life in lives if life.points[0][0] and len(life.points) > 1), key=lambda at: at[0]
    )


# ---- memory and files


def _of_memory(role: str, lives: Sequence[Life], end: int) -> Iterator[Row]:
    series = [_after(life, end) for life in lives]
    name = f"{role}: memory, KiB in {_UNIT:,} reloads"
    yield _slope_row(name, series, MOST_MEMORY)
    births = [(at, float(each.memory)) for at, each in _young(lives)]
    if len(births) >= _LEAST:
        yield _slope_row(f"{name}, of young ones", [births], MOST_MEMORY)


def _after(life: Life, end: int) -> list[Point]:
    begin = max(end / 10, life.points[0][0] + WARM_UP)
    return [(at, float(each.memory)) for at, each in life.points if at >= begin]


def _of_files(looks: Sequence[Look]) -> Iterator[Row]:
    end = looks[-1].reloads
    for name in looks[-1].files:
        begin = max(end / 10, WARM_UP) if name.endswith("KiB") else end / 10
        points = [(look.reloads, look.files[name]) for look in looks if look.reloads >= begin]
        early = [look.files[name] for look in looks if look.reloads <= end / 10]
        if name.endswith("KiB"):
            yield _slope_row(f"{name} in {_UNIT:,} reloads", [points], MOST_FILES)
        else:
            late = [value for _, value in points[-max(1, len(points) // 3) :]]
            yield exactly(f"{name} more than at first", max(0, median(late) - max(early, default=0)), 0)
    if len(rates := _rates(looks)) >= 2 * _LEAST:
        third = len(rates) // 3
        yield against_limit("log: bytes a reload, at the end through the beginning", _through(rates, third), MOST_LOG)


def _rates(looks: Sequence[Look]) -> list[float]:
    pairs = ((a, b) for a, b in itertools.pairwise(looks) if a.reloads >= looks[-1].reloads / 10)
    return [(b.log - a.log) / (b.reloads - a.reloads) for a, b in pairs if b.reloads > a.reloads]


def _through(rates: Sequence[float], third: int) -> float:
    return median(rates[-third:]) / max(1.0, median(rates[:third]))


def slope(series: Iterable[Sequence[Point]]) -> float | None:
    """The median of the slopes between any two points of the same series, in 10,000 reloads; None with too few."""
    slopes = [
        (b - a) / (later - earlier)
        for points in series
        if len(points) >= _LEAST
        for (earlier, a), (later, b) in itertools.combinations(points, 2)
        if later > earlier
    ]
    return median(slopes) * _UNIT if slopes else None


def _slope_row(name: str, series: Sequence[Sequence[Point]], most: float) -> Row:
    """Where one process was looked at for a short time only, the slack is what it may have grown by meanwhile."""
    found = slope(series)
    if found is None:
        return Row(f"{name}; not judged: too few looks", 0.0, most, None, None, None)
    longest = max(points[-1][0] - points[0][0] for points in series if len(points) >= _LEAST)
    return against_limit(name, max(0.0, found), max(most, SLACK * _UNIT / longest))
