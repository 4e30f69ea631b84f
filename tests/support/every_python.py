"""The test suite with every Python that is here: what `scripts/every-python` runs.

Each Python has an environment of its own, with the versions that `.constraints/` has for it; with a Python for which
it has none, the newest of everything. A Python that is not here, or that a package can't be installed for, has a line
that says so. The exit status is 1 if a test failed with one of them, or if one that was asked for was not tried.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.support import pythons

ROOT = Path(__file__).parents[2]
NAMES = [*(f"python{version}" for version in pythons.VERSIONS), "python3.15", "python3.13t", "python3.14t", "pypy3"]
_COUNTS = re.compile(rb"^=*\s*(.*\d+ (?:passed|failed|error).*?) in [\d.]+s", re.MULTILINE)


def environment_of(name: str, python: str) -> tuple[Path, str]:
    """The environment for an interpreter, made or brought up to date; and why there is none, if so."""
    home = ROOT / f".venv-{name}"
    made = subprocess.run(
        ["scripts/install-into", home, "tried"],
        cwd=ROOT,
        env=os.environ | {"PYTHON": python},
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in made.stderr.splitlines() if line.lower().startswith("error")]
    return home, "" if made.returncode == 0 else (errors or [f"exit status {made.returncode}"])[-1]


def run(home: Path, options: list[str]) -> tuple[str, bool]:
    """What pytest counted, and whether it found nothing wrong. All that it says goes to `HOME/suite.txt`."""
    began, log = time.monotonic(), home / "suite.txt"
    pytest = [home / "bin" / "python", "-m", "pytest", "-n", "5", "--dist", "loadfile", "--no-loadscope-reorder"]
    with log.open("wb") as output:
        ended = subprocess.run([*pytest, *options], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, check=False)
    counts = _COUNTS.findall(log.read_bytes())
    told = counts[-1].decode() if counts else f"exit status {ended.returncode}"
    return f"{told}, {time.monotonic() - began:.0f} s ({log.relative_to(ROOT)})", ended.returncode == 0


def tried(name: str, options: list[str]) -> bool | None:
    """Run the suite with one Python and print its line. False if a test failed; None if none could be run."""
    python = pythons.interpreter(name)
    if python is None:
        print(f"{name:12} is not here", flush=True)
        return None
    home, why_not = environment_of(name, python)
    if why_not:
        print(f"{name:12} what the tests need can't be installed: {why_not}", flush=True)
        return None
    told, good = run(home, options)
    print(f"{name:12} {pythons.version_of(python)}: {told}", flush=True)
    return good


def main() -> int:
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    own, given = sys.argv[1:at], sys.argv[at + 1 :]
    epilog = "What follows `--` goes to pytest."
    parser = argparse.ArgumentParser(prog="scripts/every-python", description=__doc__, epilog=epilog)
    parser.add_argument("names", nargs="*", help="interpreters; without any: " + " ".join(NAMES))
    asked = parser.parse_args(own).names
    results = [tried(name, given) for name in asked or NAMES]
    bad = (False, None) if asked else (False,)
    return int(any(each in bad for each in results))


if __name__ == "__main__":
    raise SystemExit(main())
