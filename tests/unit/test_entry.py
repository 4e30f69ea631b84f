"""A program that is its own interpreter: its config owner is the program again, if that begins with the entry."""

from __future__ import annotations

import multiprocessing.spawn
import subprocess
import sys
import types
from pathlib import Path

import pytest

from confcast import ConfcastError, owner_main
from confcast.master.start import interpreter
from confcast.wire import role


@pytest.fixture(autouse=True)
def no_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the beginning of a process."""
    monkeypatch.setattr(role, "_entry", False)


def test_a_frozen_program_that_has_not_called_the_entry_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/srv/app/program")
    words = r"/srv/app/program is a frozen program: .* Let confcast\.owner_main\(\) be the first that it calls"
    with pytest.raises(ConfcastError, match=words):
        interpreter.command()


def test_one_that_has_called_it_starts_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", "/srv/app/program")
    owner_main()
    assert interpreter.command() == interpreter.Command(("/srv/app/program",), None)


@pytest.mark.parametrize("mode", ["standalone", "onefile"])
def test_a_program_of_nuitka_s_starts_the_file_that_runs(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    main = types.SimpleNamespace(__compiled__=types.SimpleNamespace(**{mode: True}))
    monkeypatch.setitem(sys.modules, "__main__", main)  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "executable", "/srv/app/python-that-is-not-there")
    owner_main()
    assert interpreter.command().arguments == (str(Path("/proc/self/exe").readlink()),)


def test_a_compiled_program_that_uses_the_interpreter_here_is_not_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = types.SimpleNamespace(standalone=False, onefile=False)
    monkeypatch.setitem(sys.modules, "__main__", types.SimpleNamespace(__compiled__=compiled))  # type: ignore[arg-type]
    assert interpreter.command().arguments[0] == sys.executable


def test_an_interpreter_that_is_named_stands_above_the_frozen_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert interpreter.command("/opt/python").arguments[0] == "/opt/python"


@pytest.mark.parametrize(
    ("executable", "found"),
    [("/srv/bin/uwsgi", "sys.executable is /srv/bin/uwsgi, by its name no Python"), ("", "sys.executable is empty")],
)
def test_what_is_no_interpreter_is_not_started_and_the_words_say_how_one_is_named(
    executable: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", executable.encode() or None)
    with pytest.raises(ConfcastError) as caught:
        interpreter.command()
    assert found in str(caught.value)
    assert "Name an interpreter: executable=" in str(caught.value)
    assert "--executable, or multiprocessing.set_executable()" in str(caught.value)


def test_the_interpreter_that_multiprocessing_was_given_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/srv/bin/uwsgi")
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", b"/srv/bin/python3")
    assert interpreter.command().arguments[0] == "/srv/bin/python3"


def test_a_link_of_another_name_to_a_python_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "server").symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "server"))
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", None)
    assert interpreter.command().arguments[0] == str(tmp_path / "server")


@pytest.mark.parametrize(
    ("program", "ending"),
    [
        ("import confcast; confcast.owner_main(); print('goes on')", (0, "goes on\n")),
        ("import sys; sys.argv[1:] = ['confcast.owner', '99']; import confcast; confcast.owner_main()", (2, "")),
    ],
)
def test_the_entry_returns_unless_the_process_was_started_as_an_owner(program: str, ending: tuple[int, str]) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == ending


@pytest.mark.parametrize("call", ["ConfigReloadManager(ConfigLoader('s:S')).start()", "Replica(int).attach('nowhere')"])
def test_a_program_that_was_to_be_an_owner_and_is_none_starts_no_other(call: str) -> None:
    """Whatever it is that takes no notice of its arguments: the chain ends with the second."""
    program = f"from confcast import *\n{call}"
    command = [sys.executable, "-c", program, role.OWNER, "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "was called in a process that was started to be a config owner: " in done.stderr
    assert "calls confcast.owner_main() before anything else" in done.stderr
