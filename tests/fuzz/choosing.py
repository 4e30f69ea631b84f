"""Which of many inputs of a target are kept in the tree: a few that together run all that they all run.

By Python's own tracing, so that it works without a fuzzer, and after the code has changed. An input that finds
something is none of them.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz import bounds

MOST = 36
"""How many are kept of a target."""

_PACKAGE = f"{Path('src', 'confcast')}/"


def keep(name: str, folder: Path) -> list[Path]:
    """Write the chosen of these inputs, and of those that are kept already, into the tree in the place of these."""
    target, kept = bounds.load(name), bounds.CORPUS / name
    kept.mkdir(parents=True, exist_ok=True)
    seen = set[tuple[str, int, int]]()
    for data in getattr(target, "seeds", tuple)():
        seen |= lines(target, data)
    found = sorted(
        {path.read_bytes() for each in (kept, folder) for path in each.glob("*")}, key=lambda each: len(each)
    )
    gains = [(data, new) for data in found if len(data) <= bounds.LONGEST and (new := lines(target, data) - seen)]
    chosen = list[bytes]()
    while gains and len(chosen) < MOST:
        best, new = max(gains, key=lambda each: (len(each[1]), -len(each[0])))
        chosen.append(best)
        seen |= new
        gains = [(data, left) for data, its in gains if (left := its - seen)]
    for path in kept.glob("*"):
        path.unlink()
    for data in chosen:
        (kept / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    return sorted(kept.glob("*"))


def lines(target: bounds.Target, data: bytes) -> set[tuple[str, int, int]]:
    """The steps from line to line of the package that this input takes; none if it finds something."""
    found, before = set[tuple[str, int, int]](), dict[FrameType, int]()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        name = frame.f_code.co_filename
        if _PACKAGE not in name:
            return None
        if event == "line":
            found.add((name, before.get(frame, 0), frame.f_lineno))
        before[frame] = frame.f_lineno
        return trace

    sys.settrace(trace)
    try:
        target.one(data)
    except Exception:
        return set()
    finally:
        sys.settrace(None)
    return found
