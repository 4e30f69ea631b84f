"""Give one input to a target, and show what comes of it: `python -m tests.fuzz.again TARGET FILE`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.fuzz import bounds

if __name__ == "__main__":
    print(f"{bounds.run(bounds.load(sys.argv[1]), Path(sys.argv[2]).read_bytes()):.3f} s")
