"""`confcast exec -- PROGRAM …` waits until there is a version, and becomes a program that starts on it.

For a job that runs once, by cron or a timer: `attach()` in it returns at once, also if the owner goes away in between.
The program takes this process's place: pid, signals, standard streams and exit status are its own. What it is given is
the committed version, never one on trial (`wire/files/inherited_snapshot.py`), and the owner's address.

Rejected: to run the program as a child (signals and statuses would have to be passed on, and a job would be two
processes), and a request for the version (a client is given no secrets; the snapshot file is for its user only).
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from confcast.cli import owners
from confcast.cli.arguments import duration
from confcast.cli.report import ExitCode, Report
from confcast.errors import ConfcastError, OwnerUnavailable
from confcast.texts import printable
from confcast.wire.address import address_variable, is_name
from confcast.wire.files import about, inherited_snapshot, lasting_address, snapshot_file
from confcast.wire.files.snapshot_file import Saved
from confcast.worker.client import which_owner
from confcast.worker.client.owner_client import OwnerClient
from confcast.worker.client.which_owner import SeveralOwners
from confcast.worker.connection.discovery import OwnerFinder, refuse_root

_TIMEOUT = 30.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 0.5
_ANSWERS_WITHIN = 1.0
"""Seconds for which an owner is asked whether it serves, where its snapshot file can't be read."""


class CanNotExecute(ConfcastError):
    """The program can't be executed; `exit` is the status that shells give for that."""

    def __init__(self, status: ExitCode, text: str) -> None:
        self.exit = status
        super().__init__(text)


class _Found(NamedTuple):
    name: str
    address: str
    saved: Saved | None


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "exec",
        usage="confcast exec [options] -- PROGRAM [ARGUMENT ...]",
        help="wait for a version, and become a program that starts on it",
        description="Waits until the config owner has a version, and becomes PROGRAM, in which attach() starts on that "
        "version at once, whatever becomes of the owner: for jobs of cron and of timers. Pid, signals and exit status "
        "are PROGRAM's own; 3 if there is no version in time, 126 if PROGRAM can't be executed, 127 if there is none.",
    )
    owners.add_to(parser)
    parser.add_argument(
        "--timeout", type=duration, default=_TIMEOUT, metavar="SECONDS", help="how long to wait (default: 30s)"
    )
    parser.add_argument("--json", action="store_true", help="print what went wrong before PROGRAM as one JSON document")
    parser.takes_program = True
    parser.set_defaults(run=run, usage_error=parser.error)


def run(options: argparse.Namespace) -> Report:
    """Become the program. Raises OwnerUnavailable if no version comes in time, CanNotExecute, or ConfcastError."""
    program: list[str] = options.program
    if not program:
        options.usage_error("which program? Write it behind `--`: confcast exec -- python job.py")
    _look_for(program[0])  # before the wait: a misspelt name is told at once
    found = _await(options)
    variable = address_variable(found.name)
    is_given = options.address is not None or options.pid is not None
    if is_given or not is_name(os.environ.get(variable, "/"), found.name):  # a name finds the next owner, too
        os.environ[variable] = found.address
    if found.saved is not None:
        try:
            inherited_snapshot.hand_over(found.name, found.saved)
        except OSError as error:
            _warn(f"the version can't be handed over, so the program asks the config owner: {error.strerror}")
    _become(program)


# ---- the version


def _await(options: argparse.Namespace) -> _Found:
    """The version of the owner that is meant, once there is one. Raises OwnerUnavailable."""
    deadline = time.monotonic() + options.timeout
    pause = _SHORTEST_PAUSE
    while True:
        try:
            return _look(options)
        except SeveralOwners as error:
            if not error.none_is_meant:
                raise owners.OwnersToChooseFrom(error) from None
            trouble: OwnerUnavailable = owners.OwnersToChooseFrom(error)
        except OwnerUnavailable as error:
            trouble = error
        if time.monotonic() + pause > deadline:
            raise OwnerUnavailable(f"no version came within {options.timeout:g} s: {trouble}") from None
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _look(options: argparse.Namespace) -> _Found:
    """The version that there is now. Raises OwnerUnavailable if there is none, SeveralOwners, or ConfcastError."""
    given = options.address and os.path.abspath(options.address)  # noqa: PTH100 - a link at its end is not resolved
    place = which_owner.find(options.name, address=given, pid=options.pid, warns=False, words="--{}".format)
    found = OwnerFinder(place.name, place.address).find()  # an old generation's address leads to the next one
    refuse_root(found)  # the program could not attach
    address = place.address if lasting_address.is_lasting(place.address) else found
    there, folder = lasting_address.owner_at(found), lasting_address.folder_of(found)
    written = about.load(folder)
    name = written.name if written is not None else place.name  # a folder's name may be too short for it
    if there is not None and there.lives() and (saved := snapshot_file.load(folder)) is not None:
        return _Found(name, address, saved)
    owner = OwnerClient(found, name)
    if not owner.within(_ANSWERS_WITHIN, lambda _: owner.get_stats())["version"]:
        raise OwnerUnavailable(f"the config owner at {printable(address)} has no version yet")
    _warn(f"the snapshot file in {printable(str(folder))} can't be read, so the program asks the config owner")
    return _Found(name, address, None)


def _warn(text: str) -> None:
    print(f"confcast exec: {text}", file=sys.stderr, flush=True)


# ---- the program


def _look_for(program: str) -> None:
    """Raise CanNotExecute if there is no such program, or none that may be executed."""
    places = [program] if "/" in program else [f"{each or '.'}/{program}" for each in os.get_exec_path()]
    existing = [each for each in places if os.path.exists(each)]  # noqa: PTH110 - no Path for each of them
    if not existing:
        raise CanNotExecute(ExitCode.NOT_FOUND, f"there is no program {printable(program)}{_where(program)}")
    if not any(os.path.isfile(each) and os.access(each, os.X_OK) for each in existing):  # noqa: PTH113 - likewise
        kind = "a folder" if Path(existing[0]).is_dir() else "a file that this user may not execute"
        raise CanNotExecute(ExitCode.NOT_EXECUTABLE, f"{printable(existing[0])} is {kind}")


def _where(program: str) -> str:
    return "" if "/" in program else f" in {printable(os.environ.get('PATH', os.defpath))} ($PATH)"


def _become(program: Sequence[str]) -> NoReturn:
    """Replace this process. Raises CanNotExecute."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores them, and the program would inherit that
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execvp(program[0], list(program))  # noqa: S606 - what the caller has typed
    except OSError as error:
        if error.errno == errno.ENOENT:
            text = "is not there, or the interpreter that its first line names is not"
            raise CanNotExecute(ExitCode.NOT_FOUND, f"{printable(program[0])} {text}") from None
        no_script = "it is no program: a script begins with a line such as `#!/bin/sh`"
        why = no_script if error.errno == errno.ENOEXEC else error.strerror
        text = f"{printable(program[0])} can't be executed: {why}"
        raise CanNotExecute(ExitCode.NOT_EXECUTABLE, text) from None
