"""What messages say about users' YAML is the same with each PyYAML that confcast was tried with.

Slow, for it installs them: `python -m pytest -m slow tests/unit/config/sources/formats/test_yaml_versions.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[5]
ABOUT_YAML = [
    "sources/formats/test_formats.py",
    "sources/formats/test_plain_yaml.py",
    "sources/test_fuzz.py",
    "sources/test_limits.py",
    "validation/test_input_faults.py",
    "sources/formats/test_numbers.py",
    "validation/test_input_words.py",
    "test_candidate.py",
    "sources/formats/test_yaml_merges.py",
]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", ["6.0.2", "6.0.3", "6.0.4"])
def test_all_that_is_said_of_yaml_holds_with(version, tmp_path):
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path)]
    subprocess.run([*pip, f"PyYAML=={version}"], check=True)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    found = [sys.executable, "-c", "import yaml; print(yaml.__version__)"]
    assert subprocess.run(found, env=environment, capture_output=True, text=True, check=True).stdout.strip() == version
    runner = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    tests = [str(ROOT / "tests/unit/config" / name) for name in ABOUT_YAML]
    outcome = subprocess.run([*runner, *tests], env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout
