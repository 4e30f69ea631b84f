"""`confcast exec` with real owners, and jobs that start on the version that it has found."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast import ConfigLoader
from confcast.cli import main
from confcast.master.embedded import EmbeddedManager
from confcast.wire.files import snapshot_file
from confcast.wire.files.owner_dirs import OwnerDir
from tests.support.one_shot import SCHEMA, Plain
from tests.support.owners import await_the_next, home_of, kill_the_owner
from tests.support.waiting import DEADLINE, eventually

NAME = f"exec{os.getpid()}"  # owners of other programs on this machine are not found by it
SERVED = f"{NAME}s"
JOB, SERVED_JOB = ([sys.executable, "-m", "tests.support.one_shot", name, "7"] for name in (NAME, SERVED))
AFTER_A_LINE = ["sh", "-c", f"echo waiting; read line; {shlex.join(JOB)}; exec {shlex.join(JOB)}"]


class Exec:
    """One `confcast exec`, or what it has become."""

    def __init__(self, *arguments: str, at: str | None = None) -> None:
        which = ["--name", NAME] if at is None else ["--address", at] if at else []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "confcast", "exec", *which, *arguments],
            env={each: value for each, value in os.environ.items() if not each.startswith("CONFCAST_ADDRESS")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, line: str = "") -> tuple[int, str, str]:
        """Its exit status, and what it has written."""
        out, error = self.process.communicate(line, timeout=2 * DEADLINE)
        return self.process.returncode, out, error

    def line(self) -> str:
        """The next line that it writes."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


Start = Callable[..., Exec]


Manager = EmbeddedManager[Plain]
StartManager = Callable[..., Manager]


def put(config: Path, number: int) -> None:
    """Put a number into the file."""
    fresh = config.with_name("fresh.toml")
    fresh.write_text(f"number = {number}\n")
    fresh.replace(config)


def managed(config: Path, **options: Any) -> Manager:
    """A manager that is not started. Whoever restarts its owners is the test."""
    usual = {"name": NAME, "watch": False, "probation": 0, "supervise": "caller"}
    return EmbeddedManager(ConfigLoader(SCHEMA, config), **{**usual, **options})


@pytest.fixture
def config(tmp_path: Path) -> Path:
    put(tmp_path / "app.toml", 1)
    return tmp_path / "app.toml"


@pytest.fixture
def start_manager(config: Path, nothing_is_left: None) -> Iterator[StartManager]:
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(managed(config, **options))


@pytest.fixture
def manager(start_manager: StartManager) -> Manager:
    return start_manager()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an owner that no test of this file changes."""
    config = tmp_path_factory.mktemp("served") / "app.toml"
    put(config, 1)
    with tempfile.TemporaryDirectory(prefix="cc-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONFCAST_RUNTIME_DIR", folder)
        with managed(config, name=SERVED) as manager:
            yield manager.address


@pytest.fixture
def start(nothing_is_left: None) -> Iterator[Start]:
    started: list[Exec] = []

    def make(*arguments: str, **options: str) -> Exec:
        started.append(Exec(*arguments, **options))
        return started[-1]

    yield make
    for each in started:
        each.process.kill()
        with contextlib.suppress(ValueError):  # its streams are closed
            each.process.communicate()


def answers(out: str) -> list[dict[str, Any]]:
    return [json.loads(each) for each in out.splitlines() if each.startswith("{")]


def test_a_program_takes_the_place_of_the_command_and_starts_on_the_version(served: str, start: Start) -> None:
    command = start("--", *SERVED_JOB, at=served)
    status, out, error = command.end()
    variables = [f"CONFCAST_ADDRESS_{SERVED.upper()}"]  # the other one was taken, with its descriptor
    (found,) = answers(out)
    assert (status, error) == (7, "")
    assert found == {"pid": command.process.pid, "version": 1, "number": 1, "connected": True, "variables": variables}


def test_jobs_start_on_it_although_the_server_has_gone_before_they_attach(manager: Manager, start: Start) -> None:
    command = start("--", *AFTER_A_LINE)
    assert command.line() == "waiting"
    manager.close()

    status, out, error = command.end("\n")
    assert status == 7
    assert [(each["version"], each["number"], each["connected"]) for each in answers(out)] == 2 * [(1, 1, False)]
    assert error.count("no config owner answers: starting on version 1, which `confcast exec` found ") == 2
    assert len(error.splitlines()) == 2, error


def test_an_owner_that_answers_or_its_newer_snapshot_comes_first(
    start: Start, start_manager: StartManager, config: Path
) -> None:
    manager = start_manager()
    command = start("--", *AFTER_A_LINE)
    assert command.line() == "waiting"
    put(config, 2)
    assert manager.reload()
    dead = kill_the_owner(manager)

    assert command.process.stdin is not None
    command.process.stdin.write("\n")
    command.process.stdin.flush()
    (unanswered,) = answers(command.line())
    await_the_next(manager, dead)
    status, out, error = command.end()
    assert status == 7
    assert (unanswered["version"], unanswered["number"], unanswered["connected"]) == (2, 2, False)
    assert "starting on version 2, which was committed last" in error
    assert [(each["version"], each["number"]) for each in answers(out)] == [(2, 2)]


def test_it_waits_for_an_owner_that_starts_meanwhile(start: Start, start_manager: StartManager) -> None:
    command = start("--timeout", "60s", "--", *JOB)
    asleep = Path(f"/proc/{command.process.pid}/wchan")
    eventually(lambda: "nanosleep" in asleep.read_text(), "its wait")
    start_manager()
    status, out, _ = command.end()
    assert (status, [each["version"] for each in answers(out)]) == (7, [1])


def test_with_no_version_in_time_the_program_does_not_run(start: Start, tmp_path: Path) -> None:
    command = start("--timeout", "0.2", "--", "touch", str(tmp_path / "ran"))
    status, out, error = command.end()
    assert (status, out) == (3, "")
    assert error.startswith(f"confcast exec: no version came within 0.2 s: no config owner named {NAME!r} runs ")
    assert not (tmp_path / "ran").exists()


def test_where_two_owners_could_be_meant_nothing_is_waited_for(start: Start, start_manager: StartManager) -> None:
    for name in ("web", "jobs"):
        start_manager(name=name)
    status, _, error = start("--timeout", "10m", "--", *JOB, at="").end()
    assert status == 3
    assert "2 config owners run for this user; choose one by --name, --pid or --address:" in error


def test_without_a_snapshot_file_the_program_asks_the_owner(manager: Manager, start: Start) -> None:
    (home_of(manager) / snapshot_file.FILE).unlink()
    status, out, error = start("--", *JOB).end()
    assert status == 7
    assert error.startswith("confcast exec: the snapshot file in ")
    assert error.endswith(" can't be read, so the program asks the config owner\n")
    assert [(each["version"], each["connected"]) for each in answers(out)] == [(1, True)]


def test_a_program_with_another_schema_is_told_so_with_an_owner_and_without(manager: Manager, start: Start) -> None:
    other = [*JOB, "other"]
    command = start("--", "sh", "-c", f"{shlex.join(other)}; echo waiting; read line; exec {shlex.join(other)}")
    (refused,) = answers(command.line())
    assert command.line() == "waiting"
    assert refused["error"] == "SchemaMismatch"
    manager.close()

    status, out, error = command.end("\n")
    (refused,) = answers(out)
    why = "version 1, which `confcast exec` found, is of another schema than Other here: "
    assert status == 7
    assert refused["error"] == "OwnerUnavailable"
    assert f"; {why}the server and this program run different code" in refused["text"]
    assert error.count(why) == 2


@pytest.mark.parametrize("kind", ["absent", "by path", "not executable", "folder", "no first line", "no interpreter"])
def test_a_program_that_can_t_be_started_has_the_status_that_shells_give(
    kind: str, served: str, start: Start, tmp_path: Path
) -> None:
    path = tmp_path / "job"
    lines = {"not executable": "#!/bin/sh\n", "no first line": "echo ran\n", "no interpreter": "#!/no/such/program\n"}
    if kind == "folder":
        path.mkdir()
    elif kind in lines:
        path.write_text(lines[kind])
        path.chmod(0o644 if kind == "not executable" else 0o755)
    expected = {
        "absent": (127, "there is no program no-such-program in "),
        "by path": (127, f"there is no program {path}\n"),
        "not executable": (126, f"{path} is a file that this user may not execute\n"),
        "folder": (126, f"{path} is a folder\n"),
        "no first line": (126, f"{path} can't be executed: it is no program: a script begins with a line such as"),
        "no interpreter": (127, f"{path} is not there, or the interpreter that its first line names is not\n"),
    }
    status, out, error = start("--", "no-such-program" if kind == "absent" else str(path), at=served).end()
    assert (status, out) == (expected[kind][0], "")
    assert error.startswith(f"confcast exec: {expected[kind][1]}")


def test_signals_are_the_program_s_own(served: str, start: Start) -> None:
    """Python ignores SIGPIPE and SIGXFSZ, which a program inherits."""
    command = start(
        "--", "sh", "-c", "echo $$; sh -c 'kill -PIPE $$; echo ignored'; kill -XFSZ $$; echo ignored", at=served
    )
    status, out, _ = command.end()
    assert status == -signal.SIGXFSZ
    assert out.splitlines() == [str(command.process.pid)]

    command = start("--", "sh", "-c", "trap 'exit 9' TERM; echo ready; read line", at=served)
    assert command.line() == "ready"
    command.process.send_signal(signal.SIGTERM)
    assert eventually(command.process.poll, "its end") == 9


def test_root_is_told_of_another_user_s_owner_before_the_program_starts(
    served: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(OwnerDir, "user", lambda self: 1234)
    monkeypatch.setattr("confcast.cli.exec._become", lambda program: pytest.fail("attach() in it would be refused"))
    assert main(["exec", "--address", served, "--", "true"]) == 3
    assert "not attach to it: start this process as the server's user (uid 1234)" in capsys.readouterr().err


def test_what_it_needs_is_said_of_a_line_without_a_program(start: Start) -> None:
    missing, unmarked = start(), start("job.py", "--all")
    assert [each.end()[0] for each in (missing, unmarked)] == [2, 2]


def test_all_behind_the_first_dashes_is_the_program_s(served: str, start: Start) -> None:
    status, out, _ = start("--", "printf", "%s ", "--json", "--", "-x", at=served).end()
    assert (status, out) == (0, "--json -- -x ")
