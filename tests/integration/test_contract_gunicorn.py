"""p06 of the typing contract, as gunicorn's conf file: two configurations of one server, each tried as it says."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast import Client, OwnerUnavailable, ReloadResult
from tests.integration.test_contract_programs import CONTRACT
from tests.support.waiting import DEADLINE, eventually

APP = """\
from c import settings

def app(environ, start_response):
    start_response("200 OK", [])
    return [settings.current.project.encode()]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the contract's programs and an application, and a run-time folder."""
    shutil.copytree(CONTRACT, tmp_path, dirs_exist_ok=True)
    conf = (CONTRACT / "p06_gunicorn_conf.py").read_text(encoding="utf-8")
    assert conf.count("def user(") == 1  # gunicorn takes this name in a conf file for its setting
    (tmp_path / "gunicorn.conf.py").write_text(conf.replace("def user(", "def user_of("), encoding="utf-8")
    (tmp_path / "served.py").write_text(APP, encoding="utf-8")
    (tmp_path / "app.toml").write_text('project = "x"\n', encoding="utf-8")
    (tmp_path / "ca.pem").write_text("an authority", encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="cc-") as runtime_dir:  # a socket's path in tmp_path would be too long
        monkeypatch.setenv("CONFCAST_RUNTIME_DIR", runtime_dir)
        yield tmp_path


def answered(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=DEADLINE) as answer:
        text: str = answer.read().decode()
    return text


def states(client: Client) -> list[str]:
    """Of each worker; none while no owner answers."""
    with contextlib.suppress(OwnerUnavailable):
        return sorted(each.state for each in client.workers())
    return []


def test_two_configurations_of_one_server_are_tried_as_each_says(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = ["gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}", "--no-control-socket"]
    with subprocess.Popen([sys.executable, "-m", *line, "served:app"], cwd=folder) as server:
        try:
            client, other = Client(name="app", pid=server.pid), Client(name="b", pid=server.pid)
            eventually(lambda: states(client) == ["current", "current"], "two workers")
            event = client.set({"project": "y"})
            assert (event.result, event.version) == (ReloadResult.ON_TRIAL, 2)
            eventually(lambda: states(client) == ["current", "trial"], "one canary")
            trial = client.get_stats()["trial"]
            assert (trial["by"], trial["size"], trial["min_requests"]) == ("worker", "25%", 50)
            assert client.confirm(2).version == 2
            assert {answered(port) for _ in range(4)} == {"y"}
            assert "it was to be tried first" in other.set({"project": "z"}).notes[0], "no process has a replica of it"
        finally:
            server.terminate()
