"""The original: `leindex` 1.1.1 from the package index, in an environment and a process of its own.

The environment is made at first use and kept under `.venv/leindex`; where confcast does not run in a virtual
environment, it is made in the temporary folder for this run only. `--no-deps`: of its many dependencies the module
that is measured imports PyYAML and psutil alone. Rejected: installing it beside confcast (its dependencies would
decide ours).
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.document import CONTENTS

VERSION = "1.1.1"
_PACKAGES = [f"leindex=={VERSION}", "PyYAML", "psutil"]
_INSTALL_SECONDS = 60
_ANSWER_SECONDS = 20


class NoPeer(Exception):
    """LeIndex can't be had here, and why."""


class LeIndex:
    """LeIndex in its process.

    Args:
        process: The driver, with both pipes open.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._say(json.dumps(CONTENTS))

    def reload(self, count: int) -> float:
        """The median of this many reloads in milliseconds. Raises NoPeer when it does not answer."""
        self._say(str(count))
        readable, _, _ = select.select([self._process.stdout], [], [], _ANSWER_SECONDS)
        line = self._process.stdout.readline() if readable and self._process.stdout else ""
        if not line:
            raise NoPeer(f"leindex did not answer within {_ANSWER_SECONDS} s, or died")
        return median(json.loads(line)) / 1e6

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            print(line, file=self._process.stdin, flush=True)
        except BrokenPipeError:
            raise NoPeer("the process of leindex died") from None


@contextmanager
def leindex(folder: Path) -> Iterator[LeIndex]:
    """A running LeIndex that reloads a file of its own in this folder. Raises NoPeer."""
    python = _python(folder)
    driver = Path(__file__).with_name("leindex_driver.py")
    process = subprocess.Popen(
        [python, driver, folder / "leindex.yaml"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        with process:
            yield LeIndex(process)
    finally:
        process.kill()


def _python(folder: Path) -> Path:
    """The interpreter of an environment that has LeIndex."""
    home = Path(sys.prefix) if sys.prefix != sys.base_prefix else folder
    environment = home / "leindex"
    python, ready = environment / "bin" / "python", environment / ".installed"
    if ready.exists():
        return python
    print(f"installing {_PACKAGES[0]} into {environment}", file=sys.stderr)
    venv.create(environment, with_pip=True, clear=True)
    command = [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps", *_PACKAGES]
    try:
        subprocess.run(command, check=True, timeout=_INSTALL_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise NoPeer(f"{_PACKAGES[0]} could not be installed: {error}") from error
    ready.touch()
    return python
