"""`python -m confcast` is the command line."""

from __future__ import annotations

import sys

from confcast.cli import main

if __name__ == "__main__":
    sys.exit(main())
