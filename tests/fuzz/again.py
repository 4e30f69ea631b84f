"""Give one input to a target, and show what comes of it: `python -m tests.fuzz.again TARGET FILE`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.fuzz import bounds

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.again", description=__doc__)
    parser.add_argument("target", choices=bounds.TARGETS, metavar="TARGET", help="by its name in tests/fuzz/targets")
    parser.add_argument("file", type=Path, metavar="FILE", help="the input, as scripts/fuzz has written it")
    asked = parser.parse_args()
    print(f"{bounds.run(bounds.load(asked.target), asked.file.read_bytes()):.3f} s")
