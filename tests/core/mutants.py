"""Mutation of the state machines: `scripts/mutate [FILE …]`, by mutmut, whose settings stand in `pyproject.toml`.

Each function of the core and of the worker's machine is changed in one place at a time, and the tests of `tests/core`
that reach that function are run, but for the long simulation: `decide_mutants.py` does that quickly, and only where
mypy finds no fault with the change. A change that no test notices has survived. Those that were looked at are listed in
`survivors.toml`, with why no test need notice them; a survivor that is not listed makes the exit status 1. What was
decided is kept in `mutants/`: without a FILE, a run goes on where the last one ended.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

LISTED = Path(__file__).with_name("survivors.toml")
DECIDES = Path(__file__).with_name("decide_mutants.py")
PACKAGE = Path(__file__).parents[2] / "src" / "confcast"
_TYPED = "caught by type check"


class Mutant(NamedTuple):
    """One changed place.

    Attributes:
        name: As mutmut calls it; it counts through a function, so it changes with the function.
        status: What mutmut says of it: `killed`, `survived`, `timeout`, …
        file: Of the source.
        function: With its class.
        was: The changed lines.
        instead: What stands there.
    """

    name: str
    status: str
    file: str
    function: str
    was: str
    instead: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """By what it is listed."""
        return self.file, self.function, self.was, self.instead


def pattern_of(file: str) -> str:
    """What mutmut calls all mutants of this file, a path in `src/confcast`."""
    path = Path(file).resolve()
    parts = path.relative_to(PACKAGE).with_suffix("").parts if path.is_file() else ()
    if not parts:
        raise SystemExit(f"{file} is no file of {PACKAGE}: say src/confcast/owner/core/trials.py")
    return ".".join(("confcast", *parts, "*"))


def every(statuses: tuple[str, ...] = ()) -> Iterator[Mutant]:
    """All mutants with one of these statuses; none given: all, without their texts."""
    # only where mutmut is installed
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.mutation.diff_apply import get_diff_for_mutant
    from mutmut.stats import status_by_exit_code
    from mutmut.utils.file_utils import walk_mutatable_files

    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for name, code in data.exit_code_by_key.items():
            status = status_by_exit_code[code]
            function = re.sub(r"__mutmut_\d+$", "", name).rpartition(".")[2]
            function = re.sub(r"^x_", "", function).removeprefix("xǁ").replace("ǁ", ".")
            was = instead = ""
            if status in statuses:
                lines = get_diff_for_mutant(name, path=path).splitlines()[2:]
                was, instead = ("\n".join(line[1:].strip() for line in lines if line[:1] == sign) for sign in "-+")
            if status in statuses or not statuses:
                yield Mutant(name, status, str(path), function, was, instead)


def listed() -> dict[tuple[str, str, str, str], str]:
    """The survivors that were looked at, and why no test need notice each."""
    read = tomllib.loads(LISTED.read_text(encoding="utf-8")) if LISTED.exists() else {}
    return {
        (each["file"], each["function"], each["was"], each["instead"]): reason["why"]
        for reason in read.get("reason", ())
        for each in reason["survivor"]
    }


def report() -> int:
    """Print what was found, by file; returns how many survivors are not listed."""
    counts: dict[str, Counter[str]] = {}
    for mutant in every():
        counts.setdefault(mutant.file, Counter())[mutant.status] += 1
    known, unlisted, named = listed(), [], Counter[str]()
    for mutant in every(("survived", "no tests", "suspicious")):
        if mutant.key in known:
            named[mutant.file] += 1
        else:
            unlisted.append(mutant)
    for mutant in unlisted:
        print(f"{mutant.status}: {mutant.name}\n- {mutant.was}\n+ {mutant.instead}\n")
    titles = ("mutants", "typed", "killed", "timeouts", "survived", "listed", "to do", "by tests", "score")
    print(f"{'':40}" + "".join(f"{title:>9}" for title in titles))
    total: Counter[str] = Counter()
    for file, by_status in sorted(counts.items()):
        by_status["listed"] = named[file]
        total.update(by_status)
        print(_line(file.removeprefix("src/confcast/"), by_status))
    print(_line("all", total))
    return len(unlisted)


def _line(title: str, counts: Counter[str]) -> str:
    """The scores count what is listed as not noticed; the first is of those that mypy does not refuse."""
    typed, ran, waiting = counts[_TYPED], counts["killed"] + counts["timeout"], counts["not checked"]
    every = counts.total() - counts["listed"]
    missed = every - typed - ran - waiting
    numbers = (every, typed, counts["killed"], counts["timeout"], missed, counts["listed"], waiting)
    scores = (_share(ran, ran + missed), _share(typed + ran, typed + ran + missed))
    return f"{title:40}" + "".join(f"{each:>9}" for each in (*numbers, *scores))


def _share(some: int, of: int) -> str:
    return f"{some / of:.1%}" if of else "-"


def main() -> int:
    """Run what is asked for, tell, and return the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__.partition("\n\n")[0])
    parser.add_argument("files", nargs="*", metavar="FILE", help="these alone, and anew; all that was never decided")
    parser.add_argument(
        "--again", action="store_true", help="also, or of these files only, what has survived: by new tests"
    )
    parser.add_argument("--processes", default="2", help="in how many processes (2)")
    parser.add_argument("--report", action="store_true", help="run nothing, and print what is known")
    asked = parser.parse_args()
    if not asked.report:
        which = "survived" if asked.again else "all" if asked.files else "new"
        patterns = [pattern_of(file) for file in asked.files] or ["*"]
        command = [sys.executable, "-P", str(DECIDES), which, asked.processes, *patterns]
        if (ended := subprocess.run(command, check=False).returncode) != 0:
            return ended
    return 1 if report() else 0


if __name__ == "__main__":
    sys.exit(main())
