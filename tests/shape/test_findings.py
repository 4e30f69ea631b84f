"""The form of a finding, as `findings/README.md` gives it. Whether it holds takes a network, and is not tried here."""

from __future__ import annotations

import os
import re

import pytest

from tests.shape.source import ROOT

FINDINGS = sorted((ROOT / "findings").glob("*.sh"))


def test_there_are_only_findings_and_their_form():
    assert {path for path in (ROOT / "findings").iterdir() if path.suffix != ".sh"} == {ROOT / "findings" / "README.md"}


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.name)
def test_a_finding_has_the_form(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    assert re.match(r"# .*\d+\.\d+.*: \S", lines[1])
    assert any(line.startswith("# Output seen") for line in lines)
    assert "set -euo pipefail" in lines
    assert "mktemp -d" in path.read_text(encoding="utf-8")
    assert os.access(path, os.X_OK)
    assert "import confcast" not in path.read_text(encoding="utf-8")
