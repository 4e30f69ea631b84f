"""Every snippet of the README is run as a reader would run it: each block is a file named in its first line."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.support.waiting import eventually

README = Path(__file__).parents[2] / "README.md"
_BLOCK = re.compile(r"^```(?:python|toml)\n# (?P<name>\S+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_DEADLINE = 30


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with every file of the README, and a run-time folder for its owners."""
    for block in _BLOCK.finditer(README.read_text()):
        (tmp_path / block["name"]).write_text(block["text"])
    run_time = tmp_path / "run"
    run_time.mkdir()
    monkeypatch.setenv("CONFCAST_RUNTIME_DIR", str(run_time))
    return tmp_path


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def lines_until(program: subprocess.Popen[str], wanted: str) -> list[str]:
    lines = []
    assert program.stdout is not None
    for line in program.stdout:
        lines.append(line.rstrip())
        if wanted in line:
            return lines
    raise AssertionError(f"{wanted!r} was never printed:\n" + "\n".join(lines))


def end(program: subprocess.Popen[str]) -> str:
    output, _ = program.communicate(timeout=_DEADLINE)
    assert program.returncode == 0, output
    return output


def test_every_snippet_is_a_file_that_the_tests_know() -> None:
    named = {block["name"] for block in _BLOCK.finditer(README.read_text())}
    programs = {"gunicorn.conf.py", "app.py", "prefork.py", "watch.py", "test_app.py"}
    assert named == {"settings.py", "sources.py", "app.toml", *programs}
    assert len(re.findall(r"^```(?:python|toml)$", README.read_text(), re.MULTILINE)) == len(named)


def test_the_prefork_program_reloads(folder: Path) -> None:
    output = end(start(folder, "prefork.py"))
    assert "good morning first" in output
    assert "unchanged 1 []" in output


def test_the_watching_program_hears_of_an_edit(folder: Path) -> None:
    with start(folder, "watch.py") as program:
        lines_until(program, "edit app.toml")
        (folder / "app.toml").write_text('greeting = "good night"\n')
        assert "good morning became good night" in end(program)


def test_the_unit_test_passes(folder: Path) -> None:
    assert "1 passed" in end(start(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_app.py"))


def test_the_dry_run_finds_the_loader(folder: Path) -> None:
    assert "ok" in end(start(folder, "-m", "confcast", "check", "--loader", "sources:loader"))


def test_gunicorn_reloads_on_hup(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = ["-m", "gunicorn", "-b", f"127.0.0.1:{port}", "--no-control-socket"]
    with start(folder, *arguments) as server:
        try:
            for _ in range(4):
                lines_until(server, "Booting worker")
            assert answer(port) == "good morning from version 1"
            (folder / "app.toml").write_text('greeting = "good night"\n')
            server.send_signal(signal.SIGHUP)
            lines_until(server, "success, version 2")
            assert answer(port) == "good night from version 2"
        finally:
            server.terminate()
            server.communicate(timeout=_DEADLINE)


@pytest.mark.parametrize("line", re.findall(r"^python -m confcast\.servers\..+$", README.read_text(), re.MULTILINE))
def test_a_launcher_reloads_on_hup(line: str, folder: Path) -> None:
    server = line.split()[2].rpartition(".")[2]
    with socket.socket() as held:  # granian's workers have a listener each, and can't be given port 0
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        listen = {
            "uvicorn": ["--port", "0"],
            "granian": ["--port", str(held.getsockname()[1])],
            "hypercorn": ["--bind", "127.0.0.1:0"],
        }[server]
        with start(folder, *line.split()[1:], *listen) as launcher:
            try:
                (listens,) = lines_until(launcher, "http://127.0.0.1:")[-1:]
                port = int(re.findall(r"http://127\.0\.0\.1:(\d+)", listens)[0])
                assert eventually(lambda: answer_of(port), "an answer") == "good morning from version 1"
                (folder / "app.toml").write_text('greeting = "good night"\n')
                launcher.send_signal(signal.SIGHUP)
                lines_until(launcher, "success, version 2")
                assert answer(port) == "good night from version 2"
            finally:
                launcher.terminate()
                launcher.communicate(timeout=_DEADLINE)


def test_the_readme_shows_each_launcher() -> None:
    shown = set(re.findall(r"^python -m confcast\.servers\.(\w+)", README.read_text(), re.MULTILINE))
    assert shown == {"uvicorn", "granian", "hypercorn"}


def answer_of(port: int) -> str:
    """Nothing while nobody listens."""
    try:
        return answer(port)
    except OSError:
        return ""


def answer(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=_DEADLINE) as response:
        return response.read().decode()
