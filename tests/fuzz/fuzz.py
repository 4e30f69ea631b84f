"""`scripts/fuzz`: run atheris on targets, two at a time, and print what became of each.

    scripts/fuzz                                  every target for ten minutes
    scripts/fuzz --seconds 60 yaml toml           two of them for a minute each
    scripts/fuzz --corpus FOLDER --keep yaml      inputs go to FOLDER; a few of them into the tree

A finding's traceback is printed. Its input lies in FOLDER, too, or in one of its own, which stays. Exit status 1 if
there is one.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.fuzz import bounds, choosing, rooms
from tests.support.arguments import above_zero

ROOT = Path(__file__).parents[2]
HANGS = 20
"""Seconds after which an input counts as one that hangs, by the clock on the wall: the machine may be busy."""


class Result(NamedTuple):
    """What became of a target."""

    name: str
    status: int
    log: Path
    seconds: float

    def number(self, pattern: str) -> int:
        """The last number of the log in this place."""
        found = re.findall(pattern, self.log.read_text(encoding="utf-8", errors="replace"))
        return int(found[-1]) if found else 0

    def row(self) -> str:
        """The line of the table."""
        kept = self.number(r"corp: (\d+)/")
        numbers = (self.number(r"(?m)^#(\d+)"), kept, self.number(r"cov: (\d+)"), self.number(r"rss: (\d+)Mb"))
        return _ROW.format(self.name, *numbers, f"{1000 * self.seconds:.0f} ms", "ok" if not self.status else "FOUND")


_MOST_TOLD = 60  # lines of a finding
_ROW = "{:<18} {:>12} {:>8} {:>8} {:>9} {:>12}  {}"


def run(name: str, seconds: int, folder: Path, finds: Path) -> Result:
    """Run one target for so many seconds, its corpus in this folder, and what it finds in that one."""
    corpus, log, stats = folder / name, folder / f"{name}.log", folder / f"{name}.stats.json"
    corpus.mkdir(parents=True, exist_ok=True)
    (bounds.CORPUS / name).mkdir(parents=True, exist_ok=True)
    words = folder / f"{name}.dict"
    words.write_text("\n".join(map(_quoted, getattr(bounds.load(name), "TOKENS", ()))) + "\n", encoding="ascii")
    flags = [
        *(f"-max_total_time={seconds}", f"-timeout={HANGS}", "-rss_limit_mb=1024", f"-max_len={bounds.LONGEST}"),
        *(
            "-keep_seed=1",
            "-len_control=0",
            f"-artifact_prefix={finds}/{name}.found-",
            "-print_final_stats=1",
            f"-dict={words}",
        ),
    ]
    command = [sys.executable, "-m", "tests.fuzz.worker", name, str(corpus), *flags]
    with log.open("wb") as file, rooms.room() as room:
        own = {**os.environ, "CONFCAST_FUZZ_ROOM": str(room)}
        with subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file, env=own) as worker:
            _running.append(worker)
            status = worker.wait()
            _running.remove(worker)
    slowest = json.loads(stats.read_text(encoding="utf-8"))["seconds"] if stats.exists() else 0.0
    return Result(name, status, log, slowest)


_running = list[subprocess.Popen[bytes]]()
"""The targets' processes: whoever ends this one ends them."""


@contextlib.contextmanager
def _ends_with_its_processes(pool: ThreadPoolExecutor) -> Iterator[None]:
    """The block; what it leaves by an exception, as a signal's, waits for no target."""
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in list(_running):
            worker.kill()
        raise


def _quoted(token: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in token) + '"'


def main(arguments: list[str]) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__, formatter_class=_AsWritten)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"all, or of these: {', '.join(bounds.TARGETS)}")
    parser.add_argument("--seconds", type=above_zero(int), default=600, help="for each target (600)")
    parser.add_argument("--corpus", type=Path, help="where inputs go, and come from; else they are dropped at the end")
    parser.add_argument("--at-once", type=above_zero(int), default=2, help="how many targets run at once (2)")
    parser.add_argument("--keep", action="store_true", help="choose some inputs of each target for the tree")
    options = parser.parse_args(arguments)
    if unknown := set(options.targets) - set(bounds.TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    if importlib.util.find_spec("atheris") is None:  # else each target would count as one that found something
        parser.error("atheris is not installed here: scripts/fuzz installs it, and runs this")
    names = options.targets or bounds.TARGETS
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was made is removed on the way
    pool = ThreadPoolExecutor(options.at_once)
    with rooms.room(None) as dropped, found_inputs(options.corpus) as finds, pool, _ends_with_its_processes(pool):
        folder = (options.corpus or dropped).absolute()
        print(_ROW.format("target", "executions", "corpus", "edges", "peak MiB", "slowest", ""), flush=True)
        found = 0
        for result in pool.map(lambda name: run(name, options.seconds, folder, finds), names):
            print(result.row(), flush=True)
            found += bool(result.status)
            if result.status:
                print(_finding(result, finds), flush=True)
            if options.keep:
                choosing.keep(result.name, folder / result.name)
    return 1 if found else 0


class _AsWritten(argparse.RawDescriptionHelpFormatter):
    pass


@contextlib.contextmanager
def found_inputs(corpus: Path | None) -> Iterator[Path]:
    """The folder of the inputs that are found: the corpus', or one that stays if there is something in it."""
    if corpus:
        corpus.mkdir(parents=True, exist_ok=True)
        yield corpus.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="confcast-found-"))
    try:
        yield folder
    finally:
        if not any(folder.iterdir()):
            folder.rmdir()


def _finding(result: Result, finds: Path) -> str:
    lines = result.log.read_text(encoding="utf-8", errors="replace").splitlines()
    first = next((at for at, line in enumerate(lines) if re.search("Uncaught|ERROR: |Traceback", line)), 0)
    told = [
        line for line in lines[first:] if line and not re.match("#|stat::|INFO|Base64|MS: |artifact|Test unit", line)
    ]
    inputs = [f"  input: {path}" for path in finds.glob(f"{result.name}.found-*")]
    for path in finds.glob(f"{result.name}.found-*"):
        inputs.append(f"  again: python -m tests.fuzz.again {result.name} {path}")
    return "\n".join([*told[:_MOST_TOLD], *inputs])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
