"""The command of the rig: what can't be run, or would show nothing, is refused in words before anything starts."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.support.server import Server
from tests.torture import __main__ as command
from tests.torture import rig, servers
from tests.torture.client import Answer, Clients, Wish
from tests.torture.fleet import ENGINES
from tests.torture.history import Recorder
from tests.torture.options import Options
from tests.torture.rig import NotStarted


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("option", ["--seconds", "--rounds", "--workers", "--clients", "--rate"])
@pytest.mark.parametrize("number", ["0", "-1"])
def test_a_run_without_clients_workers_or_time_would_show_nothing(
    option: str, number: str, capsys: pytest.CaptureFixture[str]
):
    assert f"{option}: a number above 0 is expected, and {number} was given" in refusal(capsys, option, number)


def test_an_unknown_phase_is_named_with_those_that_there_are(capsys: pytest.CaptureFixture[str]):
    assert "there is no phase storms; there are still, quiet, edits" in refusal(capsys, "--phases", "edits,storms")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--server", "celery"], "celery's broker is a redis-server, and there is none"),
        (["--fleet", "redis"], "there is no server of redis on this machine"),
    ],
)
def test_what_a_machine_lacks_is_named(
    arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(ENGINES["redis"], "programs", list)
    assert says in refusal(capsys, *arguments)


def test_two_runs_are_not_kept_in_one_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "gunicorn-4").mkdir()
    assert "gunicorn-4: there already" in refusal(capsys, "--seed", "3", "--rounds", "2", "--keep", str(tmp_path))


@pytest.mark.parametrize(
    ("error", "stays"), [(NotStarted("no port"), False), (SystemExit(143), False), (LookupError("a fault"), True)]
)
def test_the_folder_of_a_site_that_cannot_start_or_that_somebody_ends_is_removed(
    error: BaseException,
    stays: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    def run(*_: object) -> None:
        raise error

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(command, "run", run)
    with pytest.raises(type(error)):
        command.main([])
    there = [*tmp_path.iterdir()]
    assert bool(there) == stays
    assert capsys.readouterr().err == "".join(f"kept in: {each}\n" for each in there)


def test_a_site_that_cannot_start_says_what_its_processes_have_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make = servers.SERVERS["multiprocessing"]

    def broken(folder: Path, options: Options, environment: dict[str, str]) -> Server:
        made = make(folder, options, environment)
        monkeypatch.setattr(made, "command", lambda *_: ["sh", "-c", "echo the port is taken"])
        return made

    monkeypatch.setitem(servers.SERVERS, "multiprocessing", broken)
    with pytest.raises(NotStarted, match=r"(?s)it ended before it listened.*the port is taken"):
        rig.run("multiprocessing", 1.0, 1, tmp_path, Options(admin=False))


def test_a_client_that_ends_too_early_is_an_error_of_the_run(tmp_path: Path):
    class Broken:
        def ask(self, wish: Wish) -> Answer:
            raise LookupError("no such thing")

        def close(self) -> None:
            pass

    recorder = Recorder(tmp_path, "test")
    clients = Clients(Broken, 1, recorder, Options(clients=2))
    clients.start()
    with pytest.raises(LookupError, match="no such thing"):
        clients.stop()
    recorder.close()
