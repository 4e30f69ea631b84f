"""G9 in real processes: a sentinel stands in every secret, and in no log, event, error, listing or command's output."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import LIFETIME, ROOT
from tests.support.receiver import SECRET as HOOK_SECRET
from tests.support.secretive import NUMBER, ROOTS, SENTINEL
from tests.support.slow import slow

LEAK = re.compile(rf"{SENTINEL}|{HOOK_SECRET[6:30]}|{str(NUMBER)[:-3]}")
"""Of the numbers, what all of them begin with: they differ in their last three digits."""


@pytest.mark.timeout(4 * LIFETIME)  # it starts an owner after the other, and five seconds of a processor's work
@pytest.mark.parametrize("root", [ROOTS[0], *map(slow, ROOTS[1:])])
def test_a_secret_is_in_nothing_that_anybody_reads(root: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.support.secretive", str(tmp_path / "app.json"), root],
        env={**os.environ, "CONFCAST_DEBUG": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3 * LIFETIME,
        check=False,
    )
    said = run.stdout + run.stderr
    assert run.returncode == 0, run.stderr
    for told in (
        "login.password",  # changes and problems name the keys
        "nobody can't use **********, ['**********'",  # a validator's own text
        "PostgresDsn('postgres://svc:**********@db/x?sslpassword=**********')",
        "postgres//svc:**********@db/x",
        "redis://:**********@queue/0",
        "judge: not **********, **********",  # a precommit function's
        "KeyError: \"********** became ['**********'",  # an observer's, in the worker's log
        "SystemExit: exit with **********",  # a validator's, in the owner's log
        "was changed in place in this process: login.user ('u' became 'written')",  # the worker's log
        "the configuration is refused, nothing is served: ",  # the log of `confcast serve`
        "call: refused (validation_failed)",  # the owner's log
        '"config_event": "observer_raised"',  # fields, in the worker's log
        *(['"config_event":"reload_problem"', '"config_keys":["'] if root == ROOTS[0] else ["confcast app: call: "]),
        '"key": "login.password"',  # the command line's
        "VersionInfo(version=2, ",
        '"restorable": true',  # `confcast versions --json`
        "Explanation(key='login.password', value='**********'",
        "hides    '**********', ",  # `confcast explain`
        "  sources  refused, so that nothing can be resumed:",  # while a version is held
        "waiting=Shadowed(origin=",
        "strong.password: '**********' -> '**********'",  # `confcast diff`
        "the schema has no such key; did you mean strong.password?",
        "is to be confirmed: else the content of version ",  # `confcast status`, of a window
        "STATUS=serving version ",  # what systemd is told
        "CONFCAST_SNAPSHOT_APP=",  # what a program of `confcast exec` is given
        "undone: version ",  # `confcast wait`, of its end
        "ReloadResult.UNDONE",
        'confcast_reloads_total{config="app",origin="set",result="success"}',
        "webhooks: 1, http://127.0.0.1:1/***: ",  # a start with a secret's file that has none
        "the webhook 1, http://127.0.0.1:1/*** does not take a message",
        "Event(kind='reload', ",  # of the admin API's stream
        "'changed_in': ",  # of its list of all keys
        '{"type":"confcast.settled","timestamp":',  # what is posted
    ):
        assert told in said.replace("\\'", "'"), f"{told!r} is missing, so this proves nothing:\n{said}"
    leaks = [line for line in said.splitlines() if LEAK.search(line)]
    assert leaks == []
