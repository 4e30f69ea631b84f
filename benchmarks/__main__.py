"""`python -m benchmarks`: every row, as a table and as JSON.

A bar that is missed shows in the column `ok`, and is no failure of the program unless `--strict` says so: machines
differ and are shared.
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path

from benchmarks.rows import table

FAMILIES = ("latest", "reload", "crowd", "observer", "codec", "start", "memory", "soak", "storm")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="ours against a peer or a bar, in one run"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the rows there, too")
    parser.add_argument("--only", choices=FAMILIES, help="one family of rows")
    parser.add_argument("--rounds", type=int, default=7, help="how often each comparison is repeated (7)")
    parser.add_argument("--strict", action="store_true", help="exit with status 1 when a bar is missed")
    options = parser.parse_args()
    rows = []
    for family in [options.only] if options.only else FAMILIES:
        rows += import_module(f"benchmarks.{family}").measure(options.rounds)
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps([row._asdict() for row in rows], indent=2) + "\n", encoding="utf-8")
    return int(options.strict and any(row.ok is False for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
