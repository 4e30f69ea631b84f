"""An owner that has none of what is around it, beside one of the build before there was any: both start in turns.

The build before is read out of the repository. Each round starts an owner of each build, which loads the same, reloads
twenty times, and is asked for its memory. `confcast status` asks no owner; wakeups are counted while both rest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path

from benchmarks.around import Extent
from benchmarks.around.running import wakeups
from benchmarks.document import CONTENTS
from benchmarks.programs import Program
from benchmarks.rows import Row, against_limit, against_peer
from benchmarks.timing import Sample, alternate

BEFORE = "0420aca"
ROOT = Path(__file__).parents[2]
_MEMORY_KIB = 256.0
_OWNER = f"""
import json, os, sys, tempfile
from pathlib import Path
from confcast import ConfigLoader, ConfigReloadManager

texts = {CONTENTS!r}
file = Path(sys.argv[1], "config.yaml")
file.write_text(texts[0])
loader = ConfigLoader("confcast.examples.leindex.schema:MCPConfig", file)
with ConfigReloadManager(loader, name="bench-off", watch=False, log_level="error") as manager:
    for number in range(20):
        file.write_text(texts[(number + 1) % 2])
        assert manager.reload()
    kib = [line.split()[1] for line in open(f"/proc/{{manager.owner_pid}}/status") if line.startswith("VmRSS:")]
    for line in sys.stdin:
        print(json.dumps([manager.owner_pid, int(kib[0]), manager.address]), flush=True)
"""


def measure(extent: Extent) -> list[Row]:
    """The medians over the rounds."""
    with tempfile.TemporaryDirectory(prefix="confcast-bench-") as folder:
        builds = [ROOT / "src", _build_before(Path(folder))]
        ours, before = alternate(2 * extent.rounds, [_memory(each) for each in builds])
        status = alternate(2 * extent.rounds, [_cpu(each, ["-m", "confcast", "status"]) for each in builds])
        imports = alternate(2 * extent.rounds, [_cpu(each, ["-c", "import confcast"]) for each in builds])
        with ExitStack() as stack:
            pids = [stack.enter_context(_owner(each)).ask(0)[0] for each in builds]
            woken = wakeups(pids, extent.seconds)
    return [
        against_limit(
            "an owner with all of it off, resident beyond the build before (KiB)", ours - before, _MEMORY_KIB
        ),
        against_peer("confcast status, CPU (ms); peer: the build before", *status),
        against_peer("import confcast, CPU (ms); peer: the build before", *imports),
        against_peer("an idle owner, wakeups a second; peer: the build before", *woken),
    ]


def _build_before(folder: Path) -> Path:
    """Its sources. Raises CalledProcessError: the repository has no such commit."""
    packed = subprocess.run(["git", "archive", BEFORE, "src"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


@contextmanager
def _owner(source: Path) -> Iterator[Program]:
    """A process with an owner of this build."""
    with tempfile.TemporaryDirectory(prefix="confcast-bench-") as folder:
        command = [sys.executable, "-c", _OWNER, folder]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, env=_environment(source), **pipes) as process:  # type: ignore[call-overload]
            try:
                yield Program(process)
            finally:
                process.stdin.close()


def _memory(source: Path) -> Sample:
    """A sample that starts an owner and gives its memory in KiB."""

    def sample() -> float:
        with _owner(source) as program:
            return float(program.ask(0)[1])

    return sample


def _cpu(source: Path, arguments: list[str]) -> Sample:
    """A sample that runs Python with this build and gives the milliseconds of CPU that it took."""

    def sample() -> float:
        process = subprocess.Popen(
            [sys.executable, *arguments], env=_environment(source), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return (usage.ru_utime + usage.ru_stime) * 1000

    return sample


def _environment(source: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(source)}
