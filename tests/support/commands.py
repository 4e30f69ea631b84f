"""The command line, run in the test's own process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from confcast.cli import main

Run = Callable[..., tuple[int, str, str]]


def runner(capsys: pytest.CaptureFixture[str]) -> Run:
    """What runs a command; it gives its exit code, its standard output and its standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(arguments)
        return code, *capsys.readouterr()

    return run
