"""What a person is told who starts the config owner by hand."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["7"], ["-1"], ["9" * 20], ["app:loader"]])
def test_the_config_owner_says_what_it_is_and_that_it_is_not_started_by_hand(arguments):
    command = [sys.executable, "-m", "confcast.owner", *arguments]
    run = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert run.returncode == 2
    assert run.stderr.startswith("python -m confcast.owner is the config owner of a server, a program that")
    assert "It can't be started by hand." in run.stderr
    assert "python -m confcast check --loader MODULE:NAME" in run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""
