"""Gives every kept input, and every one that found something, to its target: `python -m tests.fuzz.replay`.

It prints a JSON document: what came of each target, and of each input of `found.py`; empty for nothing. In a process of
its own, since a target may set what it likes, as the level of confcast's loggers.
"""

from __future__ import annotations

import faulthandler
import json
import traceback
from collections.abc import Iterable

from tests.fuzz import bounds, found

HANGS = 100
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


def main() -> None:
    """Replay all."""
    faulthandler.dump_traceback_later(HANGS, exit=True)
    kept = {name: replayed(bounds.load(name), bounds.inputs(name)) for name in bounds.TARGETS}
    again = {name: replayed(target, [(name, data)]) for name, (target, data) in found.FOUND.items()}
    print(json.dumps({"kept": kept, "found": again}))


if __name__ == "__main__":
    main()
