"""The guide's page "An application you did not write": its snippets are run with pypiserver, as the page says."""

from __future__ import annotations

import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.environments import Environments
from tests.support.snippets import GUIDE, write_files
from tests.support.waiting import eventually

PAGE = GUIDE / "an_application_you_did_not_write.md"
NEEDED = ("pypiserver[passlib]==2.4.2", "gunicorn==27.0.1")
_DEADLINE = 60

# Beside the page's application: what a level is, which pypiserver itself does not log.
_LEVEL = """
import logging

def told_by(app):
    def beside(environ, start_response):
        if environ["PATH_INFO"] != "/level":
            return app(environ, start_response)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [logging.getLevelName(logging.getLogger("pypiserver").level).encode()]
    return beside
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # it installs pypiserver


class Server:
    """gunicorn with one of the page's applications, in the page's folder."""

    def __init__(self, bin_: Path, folder: Path, module: str, port: int) -> None:
        self.folder = folder
        self.log = folder / "log"
        self._url = f"http://127.0.0.1:{port}/"
        command = [bin_ / "gunicorn", "-b", f"127.0.0.1:{port}", "--no-control-socket", f"{module}:probed"]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)

    def status(self, path: str = "") -> int:
        try:
            with urllib.request.urlopen(self._url + path, timeout=_DEADLINE) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def answer(self, path: str = "") -> str:
        with urllib.request.urlopen(self._url + path, timeout=_DEADLINE) as response:
            return response.read().decode().strip()

    def edit(self, text: str, outcome: str) -> None:
        """Have this content in the file, and wait for what the owner's log says of it."""
        before = self.log.read_text().count(outcome)
        new = self.folder / "new"
        new.write_text(text)
        new.rename(self.folder / "index.toml")
        eventually(lambda: self.log.read_text().count(outcome) > before, outcome, _DEADLINE)

    def count(self, text: str) -> int:
        return self.log.read_text().count(text)


@pytest.fixture(scope="module")
def bin_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Environments(tmp_path_factory.mktemp("tools")).get(*NEEDED) / "bin"


@pytest.fixture
def server(
    request: pytest.FixtureRequest,
    bin_: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Server]:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    run_time = tmp_path_factory.mktemp("r")  # a socket's path has 107 bytes at the most
    monkeypatch.setenv("CONFCAST_RUNTIME_DIR", str(run_time))
    (tmp_path / "packages").mkdir()
    write_files(PAGE, tmp_path)
    (tmp_path / "level.py").write_text(_LEVEL)
    with (tmp_path / f"{request.param}.py").open("a") as module:
        module.write("\nimport level\n\nprobed = level.told_by(app)\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(bin_, tmp_path, request.param, port)
    try:
        eventually(lambda: server.status() == 200, "an answer", _DEADLINE)
        yield server
    finally:
        server.process.terminate()
        server.process.wait(_DEADLINE)


def serving(module: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("server", [module], indirect=True)


@serving("at_each_request")
def test_what_is_read_at_each_request_is_new_after_the_reload(server: Server):
    assert server.answer() == "our packages"
    server.edit('roots = ["packages"]\nwelcome_msg = "all of them"\n', "watch: success")
    assert {server.answer() for _ in range(10)} == {"all of them"}


@serving("at_each_request")
def test_a_root_that_is_no_folder_is_refused_by_the_owner(server: Server):
    server.edit('roots = ["nowhere"]\nwelcome_msg = "all of them"\n', "index.toml:1")
    assert server.answer() == "our packages"


@serving("set_in_place")
def test_an_observer_sets_the_level(server: Server):
    check_the_level(server)


@serving("by_signal")
def test_the_framework_s_signal_reports_the_level(server: Server):
    check_the_level(server)


def check_the_level(server: Server) -> None:
    assert server.answer("level") == "WARNING"
    server.edit('roots = ["packages"]\nlog_level = "INFO"\n', "watch: success")
    eventually(lambda: {server.answer("level") for _ in range(10)} == {"INFO"}, "the level in every worker", _DEADLINE)


@serving("per_version")
def test_a_new_application_is_built_for_each_version(server: Server):
    (server.folder / "passwords").write_text("")
    pair = 'password_file = "passwords"\nauthenticate = ["list"]\n'
    assert server.status("simple/") == 200
    server.edit(f'roots = ["packages"]\n{pair}', "watch: success")
    assert {server.status("simple/") for _ in range(10)} == {401}


@serving("per_version")
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('password_file = "nobody"\nauthenticate = ["list"]\n', "No such file"),
        ('password_file = "nobody"\n', "auth-ops-list is empty"),
    ],
)
def test_an_application_that_can_t_be_built_is_a_veto(server: Server, text: str, reason: str):
    server.edit(f'roots = ["packages"]\nwelcome_msg = "all of them"\n{text}', "rejected")
    eventually(lambda: server.count(reason) > 0, "the reason, in the line after", _DEADLINE)
    assert {server.answer() for _ in range(10)} == {"our packages"}
