"""The command: `python -m tests.torture --seconds 30 --seed 1 --server gunicorn`."""

from __future__ import annotations

import argparse
import collections
import tempfile
from pathlib import Path

from tests.torture.options import Options
from tests.torture.rig import run
from tests.torture.servers import SERVERS


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/torture", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--server", choices=SERVERS, default="gunicorn")
    parser.add_argument("--keep", type=Path, help="the folder that keeps site and history")
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp(prefix="torture-"))
    history = run(given.server, given.seconds, given.seed, folder, Options())
    print(folder, dict(collections.Counter(type(each).__name__ for each in history)))


if __name__ == "__main__":
    main()
