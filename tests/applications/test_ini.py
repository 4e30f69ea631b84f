"""Applications whose settings are INI follow the very files that they ship, and take a new value between requests.

They are installed from the package index as they are, and nothing in them is changed. `site/run.py` runs each: it makes
the application of the configuration that confcast loads, anew for each version.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.environments import Environments

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SITE = Path(__file__).with_name("site")
RADICALE = "radicale==3.9.0"


@pytest.fixture
def runtime() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="run-") as folder:  # a socket's path in tmp_path would be too long
        yield folder


def answers(environment: Path, folder: Path, runtime: str, *arguments: str) -> list[Any]:
    """What a program of the site prints in a folder, line by line; it must end well."""
    program, *rest = arguments
    variables = {**os.environ, "CONFCAST_RUNTIME_DIR": runtime, "PYTHONPATH": ""}
    done = subprocess.run(
        [environment / "bin" / "python", SITE / program, *rest],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]


@pytest.fixture
def radicale_s_file(tmp_path: Path) -> Path:
    """The file `config` of Radicale's source distribution; the wheel has none."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "radicale", RADICALE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        pytest.skip(f"pip can't download Radicale: {done.stderr[-300:]}")
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as found:
        member = found.extractfile(f"{archive.name.removesuffix('.tar.gz')}/config")
        assert member is not None
        (tmp_path / "config").write_bytes(member.read())
    return tmp_path / "config"


def test_radicale_follows_its_config(environments: Environments, tmp_path, runtime, radicale_s_file):
    text = radicale_s_file.read_bytes()
    environment = environments.get(RADICALE)
    assert answers(environment, tmp_path, runtime, "run.py", "radicale_settings") == [
        ["401 Unauthorized", 'Basic realm="Radicale - Password Required"', ""],
        ["401 Unauthorized", 'Basic realm="Ours"', ""],
        ["401 Unauthorized", 'Basic realm="Radicale - Password Required"', "yes"],
    ]
    radicale_s_file.write_bytes(text)
    ((compared,),) = answers(environment, tmp_path, runtime, "radicale_settings.py")
    assert compared >= 15


def test_isso_follows_its_defaults_and_the_user_s_file(environments: Environments, tmp_path, runtime):
    found = answers(environments.get("isso==0.14.0"), tmp_path, runtime, "run.py", "isso_settings")
    assert found == [[False, False], [True, False], [False, True]]


def test_kinto_follows_the_file_that_it_writes(environments: Environments, tmp_path, runtime):
    environment = environments.get("kinto==26.5.0", "setuptools<81")
    found = answers(environment, tmp_path, runtime, "run.py", "kinto_settings")
    assert found == [[False, 25], [True, 25], [False, 7]]
