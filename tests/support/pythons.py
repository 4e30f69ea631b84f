"""An interpreter of each version of Python that confcast supports, as far as this machine has one."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess

VERSIONS = ("3.11", "3.12", "3.13")


@functools.cache
def interpreter(version: str) -> str | None:
    """The path of one of this version; None where there is none."""
    found = shutil.which(f"python{version}")
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


@functools.cache
def _all_of_pyenv() -> dict[str, str]:
    """pyenv's commands say "not found" of the versions that are not switched on."""
    pyenv = shutil.which("pyenv")
    if pyenv is None:
        return {}
    listed = subprocess.run([pyenv, "versions", "--bare"], capture_output=True, text=True, timeout=60, check=False)
    return {"PYENV_VERSION": ":".join(listed.stdout.split())}
