"""Tortures a real server with a config owner, and has a checker decide by the recorded history alone.

Exits with 1 if anything was violated, and with the command that repeats the run.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.arguments import above_zero
from tests.torture.checker import Violation, check
from tests.torture.fleet import ENGINES
from tests.torture.history import Record
from tests.torture.options import Options
from tests.torture.plan import PHASES
from tests.torture.report import line, report
from tests.torture.rig import NotStarted, run
from tests.torture.servers import SERVERS


def main(arguments: Sequence[str]) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    if why_not := _why_not(given):
        parser.error(why_not)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started is ended on the way
    violated = [seed for seed in _seeds(given) if _round(given, seed)]
    if given.rounds > 1:
        print(f"{given.rounds} rounds, {len(violated)} with violations" + f": seeds {violated}" * bool(violated))
    return int(bool(violated))


def _why_not(given: argparse.Namespace) -> str:
    """Why there can be no such run; empty if there can."""
    if unknown := {*filter(None, given.phases.split(","))} - PHASES.keys():
        return f"there is no phase {', '.join(sorted(unknown))}; there are {', '.join(PHASES)}"
    if given.server == "celery" and shutil.which("redis-server") is None:
        return "celery's broker is a redis-server, and there is none: scripts/install-redis installs it"
    if given.fleet and not ENGINES[given.fleet].programs():
        return f"there is no server of {given.fleet} on this machine"
    if there := [str(each) for each in (_kept(given, seed) for seed in _seeds(given)) if each and each.exists()]:
        return f"{', '.join(there)}: there already; a run's history needs a folder of its own"
    return ""


def _seeds(given: argparse.Namespace) -> range:
    return range(given.seed, given.seed + given.rounds)


def _kept(given: argparse.Namespace, seed: int) -> Path | None:
    """Where a run is to be kept; None: only with a violation, wherever that is."""
    return None if given.keep is None else given.keep / f"{given.server}-{seed}"


def _round(given: argparse.Namespace, seed: int) -> bool:
    """One run; whether anything was violated. The folder of one that was not is removed, unless it is to be kept."""
    options = Options(**{name: getattr(given, name) for name in _OPTIONS})
    folder = _kept(given, seed) or Path(tempfile.mkdtemp(prefix=f"torture-{seed}-"))
    with _gone_unless_it_shows_something(folder) if given.keep is None else contextlib.nullcontext():
        history = run(given.server, given.seconds, seed, folder, options)
        violations = check(history)
    keeps = bool(violations) or given.keep is not None
    _print(given, seed, history, violations, folder if keeps else None)
    if not keeps:
        shutil.rmtree(folder)
    return bool(violations)


@contextlib.contextmanager
def _gone_unless_it_shows_something(folder: Path) -> Iterator[None]:
    """The block; the folder of a site that can't start, or of a run that somebody ends, is removed."""
    try:
        yield
    except (NotStarted, SystemExit, KeyboardInterrupt):
        shutil.rmtree(folder)
        raise
    except BaseException:
        print(f"kept in: {folder}", file=sys.stderr)
        raise


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
    number, count = above_zero(float), above_zero(int)
    phases = f"of {', '.join(PHASES)}, with commas between them (all)"
    parser.add_argument("--seconds", type=number, default=30.0, help="how long it is tortured (%(default)g)")
    parser.add_argument("--seed", type=int, default=1, help="which acts; the same ones each time (%(default)s)")
    parser.add_argument("--rounds", type=count, default=1, help="so many seeds, one after another (%(default)s)")
    parser.add_argument("--server", choices=SERVERS, default="gunicorn", help="which one (%(default)s)")
    parser.add_argument("--workers", type=count, default=usual.workers, help="how many (%(default)s)")
    parser.add_argument("--canary", choices=("worker", "entity"), help="try every change first, in these")
    parser.add_argument("--fleet", choices=tuple(ENGINES), default=usual.fleet, help="follow this engine, too")
    parser.add_argument("--phases", default=usual.phases, help=phases)
    parser.add_argument("--clients", type=count, default=usual.clients, help="connections (%(default)s)")
    parser.add_argument("--rate", type=number, default=usual.rate, help="requests a second, all in all (%(default)g)")
    parser.add_argument("--no-admin", dest="admin", action="store_false", help="without `confcast admin`")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep site and history there, in a folder each")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
