"""Gives every kept input, and every one that found something, to its target: `python -m tests.fuzz.replay`.

Then it tries some that are near them, by Hypothesis, which needs no fuzzer. It prints a JSON document: what came of
each target, of each input of `found.py`, and of what was near; empty for nothing. In a process of
its own, since a target may set what it likes, as the level of confcast's loggers.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import traceback
from collections.abc import Iterable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import bounds, found, mutators

EXAMPLES, DERANDOMIZED = int(os.environ.get("FUZZ", "12")), "FUZZ" not in os.environ
"""As in `tests/unit/config/sources/test_fuzz.py`: `FUZZ=10000 python -m tests.fuzz.replay` looks for new ones."""

_ALL = list(HealthCheck)

HANGS = 280 if DERANDOMIZED else 24 * 3600
"""Seconds after which the process ends and says where it was."""


def replayed(target: bounds.Target, inputs: Iterable[tuple[str, bytes]]) -> str:
    """What the first of these inputs finds; empty if none does."""
    label = ""
    try:
        for each in inputs:
            is_first, (label, data) = not label, each
            if is_first:
                target.one(bounds.grown(data))  # what it imports is not its own time
            bounds.run(target, data)
    except Exception:
        return f"{label}: {traceback.format_exc()}"
    return ""


def tried(name: str) -> str:
    """What the first input finds that is made of the kept ones by chance, as small as Hypothesis can make it."""
    target, kept = bounds.load(name), [data for _, data in bounds.inputs(name)]
    form, tokens = getattr(target, "FORM", ""), list(getattr(target, "TOKENS", ()))

    def changed(data: bytes, chance: random.Random, times: int) -> bytes:
        for _ in range(times):
            other = mutators.of(form)(data, chance) if form and chance.random() < 0.5 else None
            data = other if other is not None else mutators.by_bytes(data, chance, tokens)
        return data[: bounds.LONGEST]

    made = st.builds(changed, st.sampled_from(kept), st.randoms(use_true_random=False), st.integers(1, 4))

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=DERANDOMIZED, database=None, suppress_health_check=_ALL)
    @given(st.one_of(st.binary(max_size=100), made, made, made))
    def run(data: bytes) -> None:
        bounds.run(target, data)

    try:
        run()
    except Exception:
        return traceback.format_exc()
    return ""


def main() -> None:
    """Replay all, and try what is near them."""
    faulthandler.dump_traceback_later(HANGS, exit=True)
    kept = {name: replayed(bounds.load(name), bounds.inputs(name)) for name in bounds.TARGETS}
    again = {name: replayed(target, [(name, data)]) for name, (target, data) in found.FOUND.items()}
    near = {name: tried(name) for name in bounds.TARGETS}
    print(json.dumps({"kept": kept, "found": again, "near": near}))


if __name__ == "__main__":
    main()
