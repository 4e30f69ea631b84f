"""Makes an owner's date jump: the interpreter imports this first, where `Jumping` says so."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path


def main(file: Path) -> None:
    """In the owner: before it has imported anything of its own."""
    true = time.time
    time.time = lambda: true() + float(file.read_text())


if "confcast.owner" in sys.orig_argv and "CONFCAST_TEST_JUMPING" in os.environ:
    main(Path(os.environ["CONFCAST_TEST_JUMPING"]))
