"""The command line with a real owner and real workers: exit codes, texts and JSON.

Most commands run in this process, by `main`; that `python -m confcast` is the same is one test of its own.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast import ConfigLoader, ConfigReloadManager
from confcast.cli import main, owners
from confcast.master import folders
from confcast.wire.listener import SOCKET

ROOT = Path(__file__).parents[2]

SETTINGS = """
from pydantic import BaseModel, Field, SecretStr

from confcast import ConfigLoader, Environment


class Memory(BaseModel):
    total: int = Field(3072, ge=512)


class Settings(BaseModel):
    memory: Memory = Memory()
    name: str = "x"
    password: SecretStr = SecretStr("none")


print("a module may print while it is imported")
loader = ConfigLoader(Settings, "app.toml", Environment("CLITEST_"))
unsendable = type("Local", (), {"read": lambda self: None})()


def build():
    return loader


def with_a_source_that_can_not_travel():
    return ConfigLoader(Settings, unsendable)


def failing():
    raise RuntimeError("no luck")
"""

WORKER = """
import sys
from cli_settings import Settings
from confcast import attach

replica = attach(Settings)
if "veto" in sys.argv:
    @replica.precommit
    def never(old, new):
        raise ValueError("not today")
print("ready", flush=True)
sys.stdin.read()
replica.close()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Iterator[Path]:
    """The working directory, with a module of settings and a file; modules imported from it are forgotten after."""
    (tmp_path / "cli_settings.py").write_text(SETTINGS, encoding="utf-8")
    write(tmp_path, total=4096)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]


def write(folder: Path, total: int) -> None:
    text = f'password = "hunter2"\n[memory]\ntotal = {total}\n'
    (folder / "app.toml").write_text(text, encoding="utf-8")


@pytest.fixture
def runtime(monkeypatch) -> Iterator[Path]:
    """The only place where owners live and are looked for."""
    with tempfile.TemporaryDirectory(prefix="cc-") as base:
        monkeypatch.setattr(folders, "candidates", lambda: iter([Path(base)]))
        yield Path(base)


@pytest.fixture
def manager(folder, runtime, monkeypatch) -> Iterator[ConfigReloadManager]:
    monkeypatch.syspath_prepend(folder)
    loader = ConfigLoader("cli_settings:Settings", "app.toml")
    with ConfigReloadManager(loader, watch=False, enable_signal_handler=False, vote_timeout=1.0) as manager:
        yield manager


@pytest.fixture
def start_worker(folder) -> Iterator:
    workers = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WORKER, *arguments]
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder)
        workers.append(worker)
        assert "ready" in [worker.stdout.readline().strip() for _ in range(2)]
        return worker

    yield start
    for worker in workers:
        worker.send_signal(signal.SIGCONT)
        worker.communicate(timeout=10)


@pytest.fixture
def run(capsys):
    """Run a command here; its exit code, its standard output and its standard error."""

    def command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(arguments)
        return code, *capsys.readouterr()

    return command


# ---- check


def test_check_says_ok_where_values_come_from_and_none_of_them(folder, run, monkeypatch):
    monkeypatch.setenv("CLITEST_NAME", "zebra")
    code, out, err = run("check", "--loader", "cli_settings:loader")
    assert (code, out.splitlines()) == (
        0,
        [
            "ok: cli_settings:Settings from app.toml, environment CLITEST_*",
            "  2 keys by app.toml",
            "  1 key by environment variable CLITEST_NAME",
        ],
    )
    assert "a module may print" in err


def test_check_gives_the_origin_of_every_key_as_json(folder, run):
    code, out, _ = run("check", "--loader", "cli_settings:build", "--json")
    told = json.loads(out)
    assert (code, told["ok"], told["problems"]) == (0, True, [])
    assert told["origins"] == {"memory.total": "app.toml:3:9", "name": "default", "password": "app.toml:1:12"}
    assert "hunter2" not in out


def test_check_prints_every_problem_with_its_place(folder, run):
    (folder / "app.toml").write_text('nam = "x"\n[memory]\ntotal = 12\n', encoding="utf-8")
    code, out, _ = run("check", "--loader", "cli_settings:loader")
    assert code == 1
    assert out.splitlines() == [
        "app.toml:1:1: nam: unknown key; did you mean 'name'?",
        "app.toml:3:9: memory.total: Input should be greater than or equal to 512 (got 12)",
    ]


def test_check_gives_problems_as_json(folder, run):
    (folder / "app.toml").unlink()
    code, out, _ = run("check", "--loader", "cli_settings:loader", "--json")
    assert code == 1
    assert json.loads(out) == {
        "ok": False,
        "problems": [{"key": "", "message": "there is no such file", "location": "app.toml"}],
    }


@pytest.mark.parametrize(
    ("loader", "words"),
    [
        ("cli_nowhere:loader", "cli_nowhere can't be imported: ModuleNotFoundError: No module named 'cli_nowhere'"),
        ("cli_settings:laoder", "cli_settings has no 'laoder'; did you mean 'loader'?"),
        ("cli_settings:Memory", "cli_settings:Memory is no ConfigLoader, and gives none when it is called: Memory"),
        ("cli_settings:with_a_source_that_can_not_travel", "is no msgspec.Struct"),
        ("cli_exits:loader", "cli_exits.py:2: cli_exits can't be imported: SystemExit: 4"),
        ("cli_syntax:loader", "cli_syntax.py:1:5: cli_syntax can't be imported: SyntaxError"),
        ("cli_settings:failing", "can't be called without arguments: RuntimeError: no luck"),
    ],
)
def test_check_says_in_words_why_there_is_no_loader(folder, run, loader, words):
    (folder / "cli_exits.py").write_text("import sys\nsys.exit(4)\n", encoding="utf-8")
    (folder / "cli_syntax.py").write_text("x = (\n", encoding="utf-8")
    code, out, _ = run("check", "--loader", loader)
    assert code == 1
    assert words in out
    assert "Traceback" not in out


@pytest.mark.parametrize(
    "arguments",
    [[], ["check"], ["check", "--loader", "no_colon"], ["reload", "--timeout", "0"], ["reload", "--timeout", "soon"]],
)
def test_what_can_not_be_understood_is_a_usage_error(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: confcast" in capsys.readouterr().err


# ---- reload and status


def test_reload_applies_in_every_worker_and_masks_secrets(folder, manager, start_worker, run):
    pids = sorted([start_worker().pid, start_worker().pid])
    (folder / "app.toml").write_text('password = "hunter3"\n[memory]\ntotal = 5000\n', encoding="utf-8")
    code, out, _ = run("reload")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith("success: version 1 -> 2 (")
    assert lines[1:3] == ["  memory.total: 4096 -> 5000", "  password: '**********' -> '**********'"]
    assert [row.split() for row in lines[4:]] == [[str(pid), "2", "current"] for pid in pids]


def test_reload_of_what_runs_already_is_done(manager, run):
    code, out, _ = run("reload", "--json")
    told = json.loads(out)
    assert (code, told["result"], told["origin"], told["version"]) == (0, "unchanged", "command", 1)
    assert manager.get_event_history(1)[0].origin == "command"


def test_a_refused_reload_exits_with_1_and_shows_the_place(folder, manager, run):
    write(folder, total=12)
    code, out, _ = run("reload")
    assert code == 1
    assert out.splitlines()[:2] == [
        out.splitlines()[0],
        "  app.toml:3:9: memory.total: Input should be greater than or equal to 512 (got 12)",
    ]
    assert out.startswith("validation_failed: nothing was changed, version 1 runs on")
    code, out, _ = run("status")
    assert code == 0
    assert "sources  refused as they are" in out
    assert "app.toml:3:9: memory.total" in out


def test_a_veto_exits_with_1_and_names_the_worker(folder, manager, start_worker, run):
    worker = start_worker("veto")
    write(folder, total=5000)
    code, out, _ = run("reload")
    assert code == 1
    assert f"worker {worker.pid}: never: not today" in out


def test_a_worker_that_does_not_answer_makes_it_4_and_is_named(folder, manager, start_worker, run):
    answering, stopped = start_worker(), start_worker()
    stopped.send_signal(signal.SIGSTOP)
    write(folder, total=5000)
    code, out, _ = run("reload", "--json")
    told = json.loads(out)
    states = {worker["pid"]: (worker["version"], worker["state"]) for worker in told["workers"]}
    assert (code, told["result"]) == (4, "partial")
    assert states == {answering.pid: (2, "current"), stopped.pid: (1, "late")}


def test_status_lists_every_worker_with_its_version(manager, start_worker, run):
    worker = start_worker()
    code, out, _ = run("status", "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["version"], told["owner_pid"], told["sources"]) == (1, manager.owner_pid, "applied")
    assert told["last"]["origin"] == "start"
    assert told["workers"] == [{"pid": worker.pid, "version": 1, "state": "current", "reason": ""}]


def test_status_waits_for_the_next_owner(manager, run):
    dead = manager.owner_pid
    os.kill(dead, signal.SIGKILL)
    code, out, _ = run("status", "--json")
    told = json.loads(out)
    assert (code, told["owner_restarts"]) == (0, 1)
    assert told["owner_pid"] != dead


# ---- which owner


def test_without_an_address_the_only_owner_is_found(manager, run, monkeypatch):
    monkeypatch.delenv("CONFCAST_ADDRESS_APP")
    code, out, _ = run("status")
    assert code == 0
    assert manager.address in out


def test_several_owners_are_listed_and_none_is_chosen(manager, run, monkeypatch):
    monkeypatch.delenv("CONFCAST_ADDRESS_APP")
    loader = ConfigLoader("cli_settings:Settings", "app.toml")
    with ConfigReloadManager(loader, name="other/one", watch=False, enable_signal_handler=False) as other:
        monkeypatch.delenv("CONFCAST_ADDRESS_OTHER_ONE")
        code, out, err = run("reload")
        assert (code, out) == (3, "")
        assert "2 config owners run for this user; choose one by --address" in err
        assert [row.split() for row in err.splitlines()[2:]] == [
            ["app", str(os.getpid()), manager.address],
            ["other_one", str(os.getpid()), other.address],
        ]
        assert run("reload", "--name", "other/one")[0] == 0
        assert run("reload", "--address", manager.address)[0] == 0


def test_no_owner_is_said_in_a_sentence(runtime, run, monkeypatch):
    monkeypatch.delenv("CONFCAST_ADDRESS_APP", raising=False)
    code, out, err = run("status")
    assert (code, out) == (3, "")
    assert "no config owner runs for this user" in err


def test_no_owner_is_said_in_json_too(runtime, run):
    code, out, _ = run("status", "--address", str(runtime / "nothing"), "--json")
    assert code == 3
    assert "there is no such socket" in json.loads(out)["error"]


def test_a_dead_socket_is_no_owner(runtime, run, monkeypatch):

    monkeypatch.setattr(owners, "_RESTART", 0.1)
    path = runtime / SOCKET
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
    code, out, _ = run("reload", "--address", str(path))
    assert code == 3
    assert out.startswith("owner_unavailable: what became of the reload is unknown")


# ---- the program


def test_python_m_confcast_is_the_command_line(folder):
    def checked(*command: str) -> tuple[int, str]:
        done = subprocess.run(
            [*command, "check", "--loader", "cli_settings:loader"], capture_output=True, text=True, timeout=30
        )
        return done.returncode, done.stdout

    script = Path(sys.executable).with_name("confcast")
    by_module = checked(sys.executable, "-m", "confcast")
    assert by_module[0] == 0
    assert by_module[1].startswith("ok: ")
    if script.exists():
        assert checked(str(script)) == by_module


def test_the_console_script_is_main():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["scripts"] == {"confcast": "confcast.cli:main"}
