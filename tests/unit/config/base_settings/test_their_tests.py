"""pydantic-settings' own tests as a corpus: each class that they make, in their environments, is loaded alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pydantic_settings
import pytest

ROOT = Path(__file__).parents[4]
_PATIENCE = 280
_LEFT_OUT = ("docs", "source_cli")  # they need packages of their own, and most read a command line


@pytest.mark.slow
@pytest.mark.timeout(2 * _PATIENCE)
def test_what_they_make_is_what_we_load(tmp_path: Path) -> None:
    _download(tmp_path)
    (folder,) = tmp_path.glob("pydantic_settings-*/")
    ignored = [option for name in _LEFT_OUT for option in ("--ignore", f"tests/test_{name}.py")]
    plugins = ["-p", "tests_support_agreeing", "-p", "no:cacheprovider", "-p", "no:confcast", "-p", "no:randomly"]
    (folder / "tests_support_agreeing.py").write_text((ROOT / "tests/support/agreeing.py").read_text())
    environment = os.environ | {"AGREEMENT": str(tmp_path / "counts"), "PYTHONPATH": str(folder)}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, *ignored, "tests"],
        cwd=folder,
        env=environment,
        text=True,
        capture_output=True,
        timeout=_PATIENCE,
    )
    assert (tmp_path / "counts").exists(), ran.stdout + ran.stderr
    found = json.loads((tmp_path / "counts").read_text())
    counts, differences = found["counts"], "\n".join(found["differences"])
    print(counts, differences, sep="\n")
    assert counts.get("different", 0) + counts.get("another verdict", 0) == 0, differences
    assert counts["equal"] + counts["both refuse"] > 500


def _download(folder: Path) -> None:
    """The source distribution of the version that is installed. Skips the test where pip can't get it."""
    wanted = f"pydantic-settings=={pydantic_settings.__version__}"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "pydantic-settings"]
    got = subprocess.run([*pip, "--dest", folder, wanted], text=True, capture_output=True, timeout=_PATIENCE)
    archives = list(folder.glob("*.tar.gz"))
    if not archives:
        pytest.skip(f"pip can't get {wanted}: {got.stderr[-200:]}")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(folder, filter="data")
