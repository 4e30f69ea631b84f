"""The demonstration of many hosts, as `scripts/demo --fleet` runs it: every act comes out as it must."""

from __future__ import annotations

import subprocess
import sys

import pytest

from confcast.examples.fleet.demo.processes import engine_program


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_three_hosts_behind_a_gateway_go_through_all_acts() -> None:
    try:
        engine_program()
    except RuntimeError as error:
        pytest.skip(str(error))
    done = subprocess.run(
        [sys.executable, "-m", "confcast.examples.fleet.demo"], capture_output=True, text=True, timeout=170, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "everything held"
    assert "requests failed     0" in lines
    assert any(line.startswith("  | stopped") and "tables_fit" in line for line in lines)
