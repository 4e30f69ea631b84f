"""Tortures a real server with a config owner, and has a checker decide by the recorded history alone.

Exits with 1 if anything was violated, and with the command that repeats the run.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.torture.checker import Violation, check
from tests.torture.fleet import NAMES
from tests.torture.history import Record
from tests.torture.options import Options
from tests.torture.report import line, report
from tests.torture.rig import run
from tests.torture.servers import SERVERS


def main(arguments: Sequence[str]) -> int:
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started is ended on the way
    violated = [seed for seed in range(given.seed, given.seed + given.rounds) if _round(given, seed)]
    if given.rounds > 1:
        print(f"{given.rounds} rounds, {len(violated)} with violations" + f": seeds {violated}" * bool(violated))
    return int(bool(violated))


def _round(given: argparse.Namespace, seed: int) -> bool:
    """One run; whether anything was violated. The folder of one that was not is removed, unless it is to be kept."""
    options = Options(**{name: getattr(given, name) for name in _OPTIONS})
    folder = Path(tempfile.mkdtemp(prefix=f"torture-{seed}-"))
    if given.keep is not None:
        folder.rmdir()
        folder = given.keep / f"{given.server}-{seed}"
    history = run(given.server, given.seconds, seed, folder, options)
    violations = check(history)
    keeps = bool(violations) or given.keep is not None
    _print(given, seed, history, violations, folder if keeps else None)
    if not keeps:
        shutil.rmtree(folder)
    return bool(violations)


def _print(
    given: argparse.Namespace,
    seed: int,
    history: Sequence[Record],
    violations: Sequence[Violation],
    folder: Path | None,
) -> None:
    if given.rounds > 1 and not violations:
        print(line(history, violations), flush=True)
    else:
        print(report(history, violations, folder, _command(given, seed)), flush=True)


_OPTIONS = ("workers", "canary", "clients", "rate", "fleet", "phases", "admin")


def _command(given: argparse.Namespace, seed: int) -> list[str]:
    """What repeats this run."""
    usual = _parser().parse_args([])
    own = ["--seconds", f"{given.seconds:g}", "--seed", str(seed), "--server", given.server]
    more = [
        part
        for name in _OPTIONS
        if (value := getattr(given, name)) != getattr(usual, name)
        for part in ([f"--{name}", f"{value}"] if name != "admin" else ["--no-admin"])
    ]
    return ["scripts/torture", *own, *more]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/torture", description=__doc__)
    usual = Options()
    parser.add_argument("--seconds", type=float, default=30.0, help="how long it is tortured (%(default)g)")
    parser.add_argument("--seed", type=int, default=1, help="which acts; the same ones each time (%(default)s)")
    parser.add_argument("--rounds", type=int, default=1, help="so many seeds, one after another (%(default)s)")
    parser.add_argument("--server", choices=SERVERS, default="gunicorn", help="which one (%(default)s)")
    parser.add_argument("--workers", type=int, default=usual.workers, help="how many (%(default)s)")
    parser.add_argument("--canary", choices=("worker", "entity"), help="try every change first, in these")
    parser.add_argument("--fleet", choices=NAMES, default=usual.fleet, help="follow this engine, too")
    parser.add_argument("--phases", default=usual.phases, help="of the plan, with commas between them (all)")
    parser.add_argument("--clients", type=int, default=usual.clients, help="connections (%(default)s)")
    parser.add_argument("--rate", type=float, default=usual.rate, help="requests a second, all in all (%(default)g)")
    parser.add_argument("--no-admin", dest="admin", action="store_false", help="without `confcast admin`")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep site and history there, in a folder each")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
