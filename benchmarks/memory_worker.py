"""A worker that knows what it weighs: `attach` answers with its size before attaching, `measure` with its size now.

Run as a program of its own, with the replica's name as its argument, so that nothing of the benchmark is in it: what
it imports before `attach` is what any application with such a schema has imported anyway. Sizes are private dirty KiB.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec  # noqa: F401 - part of what attaching is measured beyond

from confcast.examples.leindex.schema import MCPConfig


def private_kib() -> int:
    """Pages that only this process has."""
    rollup = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_Dirty:"))


def main() -> None:
    for line in sys.stdin:
        print(private_kib(), flush=True)
        if line.strip() == "attach":
            from confcast import Replica

            settings = Replica(MCPConfig, name=sys.argv[1]).attach()
    settings.close()


if __name__ == "__main__":
    main()
