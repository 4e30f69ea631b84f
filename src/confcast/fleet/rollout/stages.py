"""What `--stages` and `--rings` mean, and the head of each stage.

A stage counts hosts: "1 host", "25 hosts", or a share of the hosts that are there, at least one of them: "10%". Which
ones is decided by their positions (`head.position`), so that a later stage keeps those that an earlier one has. The
hosts of rings count, too. Rings come first, each label as a stage.

Rejected: a share as the `percent` of the head itself. By chance it means no host at all: 1% of 50 hosts is an empty
stage in 59 of 100 rollouts, and an empty stage proves nothing.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection

import msgspec

from confcast.fleet.head import Head, Rollout, position
from confcast.fleet.reports import Seen
from confcast.texts import printable

MOST = 12
"""How many stages, and how many rings, at the most: they have to fit into the head."""

_STAGE = re.compile(r"(?:(\d{1,6}) ?(?:hosts?)?|(\d{1,3}(?:\.\d{1,3})?) ?%)")
_RING = re.compile(r"[^\s=,]{1,60}=[^\s,=]{1,60}")


def parse_stages(text: str) -> tuple[str, ...]:
    """The stages of `--stages`, each as the head has it. Raises ValueError, in words."""
    found = tuple(_canonical(each.strip()) for each in text.split(","))
    if found[-1] != "100%":
        raise ValueError("the last stage has to be 100%, since passing it makes the payload stable for all hosts")
    if len(found) > MOST:
        raise ValueError(f"{len(found)} stages are too many: {MOST} at the most are possible")
    for before, after in itertools.pairwise(found):
        if before.endswith("%") == after.endswith("%") and _number(before) >= _number(after):
            raise ValueError(f"the stage {after} is no larger than {before}, which comes before it")
    return found


def parse_ring(text: str) -> str:
    """A label of `--rings`. Raises ValueError, in words."""
    if not _RING.fullmatch(text):
        raise ValueError(f"{text!r} is no label: LABEL=VALUE is expected, such as ring=canary")
    return text


def _canonical(text: str) -> str:
    found = _STAGE.fullmatch(text)
    number = float(found[1] or found[2]) if found else 0.0
    if found is None or number <= 0.0 or (found[2] and number > 100.0):
        raise ValueError(f"{text!r} is no stage: give a number of hosts, as in '1 host', or a share, as in '10%'")
    return f"{number:g}%" if found[2] else "1 host" if number == 1.0 else f"{number:.0f} hosts"


def _number(stage: str) -> float:
    return float(stage.removesuffix("%").partition(" ")[0])


def name_of(rollout: Rollout, index: int) -> str:
    """The stage at an index, as people write it: "ring=canary", "1 host", "10%"; it may be shown as it is."""
    return printable(rollout.rings[index] if index < 0 else rollout.stages[index])


def number_of(rollout: Rollout, index: int) -> tuple[int, int]:
    """Which stage that is, counted from 1 with the rings, and how many there are."""
    rings = len(rollout.rings)
    return index + rings + 1, rings + len(rollout.stages)


def first_of(rollout: Rollout) -> int:
    """The index of the first stage."""
    return -len(rollout.rings)


def is_last(rollout: Rollout, index: int) -> bool:
    """Whether passing this stage makes `next` stable."""
    return index >= len(rollout.stages) - 1


def at_stage(head: Head, index: int, there: Collection[Seen]) -> Head:
    """The head in which this stage has begun, of a rollout; no host that has `next` loses it.

    Args:
        head: The head before.
        index: The stage's.
        there: The hosts of the fleet now.
    """
    assert head.rollout is not None
    rollout = msgspec.structs.replace(head.rollout, stage=index)
    rings = rollout.rings if index >= 0 else rollout.rings[: len(rollout.rings) + index + 1]
    percent = 0.0 if index < 0 else _percent(rollout.stages[index], head.salt, rings, there)
    return msgspec.structs.replace(head, rollout=rollout, rings=rings, percent=max(head.percent, percent))


def before_stage(head: Head, there: Collection[Seen]) -> Head:
    """The head as it was, or would be, in the stage before: for telling which hosts are new in the present one."""
    assert head.rollout is not None
    bare = msgspec.structs.replace(head, percent=0.0, rings=())
    index = head.rollout.stage
    return bare if index <= first_of(head.rollout) else at_stage(bare, index - 1, there)


def _percent(stage: str, salt: str, rings: tuple[str, ...], there: Collection[Seen]) -> float:
    """The `percent` by which a stage's number of hosts have `next`, those of rings included; 100.0 is for all."""
    if stage == "100%":
        return 100.0
    rest = sorted(position(salt, each.report.host) for each in there if not _is_in(rings, each))
    wanted = _goal(stage, len(there)) - (len(there) - len(rest))
    return rest[min(wanted, len(rest)) - 1] if wanted > 0 and rest else 0.0


def _goal(stage: str, there: int) -> int:
    if stage.endswith("%"):
        return max(1, math.floor(_number(stage) * there / 100.0 + 1e-9))
    return int(_number(stage))


def _is_in(rings: tuple[str, ...], seen: Seen) -> bool:
    return any(label in rings for label in map("=".join, seen.report.labels.items()))
