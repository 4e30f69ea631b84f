"""An interpreter of each version of Python that confcast supports, as far as this machine has one."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess

VERSIONS = ("3.11", "3.12", "3.13", "3.14")


@functools.cache
def interpreter(name: str) -> str | None:
    """The path of an interpreter, of this name or version (`pypy3`, `3.12`); None where there is none."""
    found = shutil.which(f"python{name}" if name[0].isdigit() else name)
    if found is None:
        return None
    asked = subprocess.run(
        [found, "-c", "import sys; print(sys.executable)"],
        capture_output=True,
        text=True,
        env={**os.environ, **_all_of_pyenv()},
        timeout=60,
        check=False,
    )
    return asked.stdout.strip() or None


def version_of(python: str) -> str:
    """The version that an interpreter says, and what makes it another than CPython with a global lock."""
    told = "import sys; print(sys.version.split()[0], sys.implementation.name, sys.abiflags)"
    return subprocess.run([python, "-c", told], capture_output=True, text=True, timeout=60, check=True).stdout.strip()


@functools.cache
def _all_of_pyenv() -> dict[str, str]:
    """pyenv's commands say "not found" of the versions that are not switched on."""
    pyenv = shutil.which("pyenv")
    if pyenv is None:
        return {}
    listed = subprocess.run([pyenv, "versions", "--bare"], capture_output=True, text=True, timeout=60, check=False)
    return {"PYENV_VERSION": ":".join(listed.stdout.split())}
