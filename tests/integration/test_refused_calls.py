"""Where the system refuses pidfd_open or pidfd_send_signal, as the profiles of old containers do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.programs import ROOT
from tests.support.settings import SCHEMA
from tests.support.waiting import DEADLINE

PRELUDE = """
    import logging, os, signal, sys, time
    from pathlib import Path
    from confcast import ConfcastError, ConfigLoader, ConfigReloadManager
    from confcast.wire.processes import Death
    from tests.support.waiting import eventually
    logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
    config = Path(sys.argv[2])
    manager = ConfigReloadManager(ConfigLoader(sys.argv[1], config), watch=False)
"""


@pytest.fixture
def run(config: Path, runtime_folder: Path, tmp_path: Path):
    """A program to which the system refuses these calls; what it prints."""

    def run(calls: str, text: str, answer: str = "EPERM") -> str:
        program = tmp_path / "program.py"
        program.write_text(dedent(PRELUDE) + dedent(text), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "tests.support.seccomp", calls, str(program), SCHEMA, str(config)],
            cwd=ROOT,
            env=environment | {"ANSWER": answer},
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return run


@pytest.mark.parametrize(
    ("answer", "words"), [("EPERM", "Operation not permitted"), ("ENOSYS", "Function not implemented")]
)
def test_a_start_without_pidfd_open_is_refused_with_its_name_and_leaves_nobody(run, answer: str, words: str) -> None:
    said = run(
        "pidfd_open",
        """
        try:
            manager.start()
        except ConfcastError as error:
            print(error)
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            print("nobody is left")
        """,
        answer,
    )
    assert (
        f"the config owner could not be started: [Errno {1 if answer == 'EPERM' else 38}] pidfd_open is refused" in said
    )
    assert f"({words})" in said
    assert "Allow pidfd_open and pidfd_send_signal in the filter of system calls" in said
    assert said.endswith("nobody is left\n")


HUP = """
    with manager:
        config.write_text("number = 2\\ntwin = 2\\n")
        signal.raise_signal(signal.SIGHUP)
        eventually(lambda: manager.version == 2, "the HUP has reloaded")
        print(manager.get_event_history(limit=1)[0].origin)
        owner = Death(manager.owner_pid)
    print("left" if owner.wait(0) else "lives")
"""


def test_a_hup_without_pidfd_send_signal_reloads_and_the_log_names_the_call(run) -> None:
    said = run("pidfd_send_signal", HUP)
    assert "WARNING signals for the config owner go by its pid: pidfd_send_signal is refused here (Operation" in said
    assert said.endswith("signal\nleft\n")


def test_a_hup_in_a_master_that_may_not_signal_its_owner_raises_nothing_and_reloads(run) -> None:
    """As in one that has changed its user since the start."""
    assert run("pidfd_send_signal,kill", HUP).endswith("signal\nleft\n")
