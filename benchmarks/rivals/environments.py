"""An environment for each rival, with what its `requirements.txt` pins: made once, in a folder that git ignores.

Rejected: one for all of them, in which one's dependencies decide another's versions.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from benchmarks.rivals.job import ROOT, Rival

ENVIRONMENTS = ROOT / ".venv-rivals"
_PATIENCE = 280.0
_VERSIONS = (
    "import json, sys; from importlib.metadata import version; print(json.dumps([version(p) for p in sys.argv[1:]]))"
)


def made(rival: Rival) -> Path:
    """The environment's Python. Raises CalledProcessError if it can't be made; pip has said why on standard error."""
    folder = ENVIRONMENTS / rival.name
    python, stamp = folder / "bin" / "python", folder / "made-of"
    pinned = rival.folder / "requirements.txt"
    made_of = pinned.read_bytes()
    if b"--editable" in made_of:  # it is this tree, and what that needs is said in another file
        made_of += str(ROOT).encode() + (ROOT / "pyproject.toml").read_bytes()
    of = hashlib.sha256(made_of).hexdigest()
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != of:
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        quiet = ["--quiet", "--disable-pip-version-check"]
        _run([str(python), "-m", "pip", "install", *quiet, "--requirement", str(pinned)])
        stamp.write_text(of, encoding="utf-8")
    return python


def versions(rival: Rival) -> dict[str, str]:
    """Of what the rival is made of, in its environment."""
    import json

    command = [str(made(rival)), "-c", _VERSIONS, *rival.packages]
    said = subprocess.run(command, capture_output=True, check=True, timeout=60, text=True).stdout
    return dict(zip(rival.packages, json.loads(said), strict=True))


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, timeout=_PATIENCE, cwd=ROOT, stdout=sys.stderr)
