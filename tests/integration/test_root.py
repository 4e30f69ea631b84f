"""Root asks the owner of a service that runs as its own user, leaves nothing there, and attaches nowhere."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import confcast
from confcast import ConfcastError, Replica, cli
from confcast.wire.framing import Deframer, frame
from confcast.wire.messages import PROTOCOL, Hello, Refused, decode_to_worker, encode
from tests.support.programs import ROOT
from tests.support.settings import Settings, write
from tests.support.waiting import DEADLINE

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be root, and start a server as another user")

NOBODY, NOGROUP = 65534, 65534
NAME = "of_nobody"

MASTER = """
import os, sys
from confcast import ConfigLoader, ConfigReloadManager
from tests.support.settings import SCHEMA
with ConfigReloadManager(ConfigLoader(SCHEMA, "app.toml"), watch=False, name=sys.argv[1]) as manager:
    print(manager.address, flush=True)
    sys.stdin.read()
"""


class Service(NamedTuple):
    """A server that runs as nobody, in a folder of its own."""

    folder: Path
    address: str
    pid: int


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    folder = Path(tempfile.mkdtemp(prefix="cc-"))
    write(folder / "app.toml", 1)
    for path in (folder, folder / "app.toml"):
        os.chown(path, NOBODY, NOGROUP)
    process = subprocess.Popen(
        [interpreter(), "-c", MASTER, NAME],
        cwd=folder,
        env={"PYTHONPATH": search_path(), "CONFCAST_RUNTIME_DIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        user=NOBODY,
        group=NOGROUP,
        extra_groups=[],
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Service(folder, process.stdout.readline().strip(), process.pid)
        process.stdin.close()
        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
        shutil.rmtree(folder)


def interpreter() -> str:
    """A Python of this version that nobody may run: this one may lie in a folder of root's."""
    known = [sys.executable, *(shutil.which(name) or "" for name in (f"python3.{sys.version_info.minor}", "python3"))]
    known.append(f"/usr/bin/python3.{sys.version_info.minor}")
    version = f"import sys, tests.support.settings; assert sys.version_info[:2] == {sys.version_info[:2]}"
    environment = {"PYTHONPATH": search_path(), "PYTHONDONTWRITEBYTECODE": "1"}
    for python in filter(None, known):
        try:
            subprocess.run(
                [python, "-c", version],
                env=environment,
                cwd="/",
                user=NOBODY,
                group=NOGROUP,
                extra_groups=[],
                check=True,
                capture_output=True,
                timeout=DEADLINE,
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    pytest.skip("there is no Python here that another user may run, with what the tests need")


def search_path() -> str:
    return os.pathsep.join([str(Path(confcast.__file__).parents[1]), str(ROOT), *filter(None, sys.path)])


def users_in(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in folder.rglob("*")}


def test_it_asks_any_owner_and_leaves_nothing_of_its_own_there(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    write(service.folder / "app.toml", 2)
    os.chown(service.folder / "app.toml", NOBODY, NOGROUP)

    assert cli.main(["reload", "--address", service.address]) == 0
    assert cli.main(["status", "--address", service.address]) == 0

    assert f"master   process {service.pid} of nobody, started in {service.folder}" in capsys.readouterr().out
    assert users_in(service.folder) == {NOBODY}


@pytest.mark.parametrize("which", [("--name", NAME), ("--pid",)])
def test_it_finds_owners_of_other_users_wherever_they_are(
    which: tuple[str, ...],
    service: Service,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The service's run-time folder is in no variable of root's."""
    monkeypatch.delenv("CONFCAST_RUNTIME_DIR", raising=False)
    arguments = [*which, str(service.pid)] if which == ("--pid",) else which

    assert cli.main(["status", "--json", *arguments]) == 0

    told = json.loads(capsys.readouterr().out)
    assert (told["address"], told["master"]["uid"]) == (service.address, NOBODY)


@pytest.mark.parametrize("variable", ["CONFCAST_RUNTIME_DIR", "RUNTIME_DIRECTORY"])
@pytest.mark.parametrize("which", [(), ("--name", NAME)])
def test_a_service_s_own_reload_by_root_asks_the_owner_of_the_service_s_user(
    variable: str, which: tuple[str, ...], service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `ExecReload=+` of a service with User=, and in a container whose server another user runs."""
    monkeypatch.delenv("CONFCAST_RUNTIME_DIR", raising=False)
    monkeypatch.setenv(variable, str(service.folder))
    assert cli.main(["reload", *which]) == 0


def test_a_service_s_own_reload_asks_no_other_user_s_owner_elsewhere(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its place is named, and nobody is there any more."""
    monkeypatch.delenv("CONFCAST_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))

    assert cli.main(["reload", "--name", NAME]) == 3

    said = capsys.readouterr().err
    assert f"no config owner named {NAME!r} runs for root, nor for another user in {tmp_path}" in said
    assert "other users' elsewhere are asked by --pid or --address only" in said


def test_it_does_not_attach_as_a_worker(service: Service) -> None:
    with pytest.raises(ConfcastError, match=rf"root may ask the config owner at \S+, and not.*user \(uid {NOBODY}\)"):
        Replica(Settings, name=NAME).attach(service.address)
    assert users_in(service.folder) == {NOBODY}


def test_an_owner_refuses_it_as_a_worker_and_goes_on(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever program it is: our own one refuses before."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(DEADLINE)
        connection.connect(service.address)
        connection.sendall(frame(encode(Hello(PROTOCOL, os.getpid(), "replica", NAME))))
        (body,) = Deframer().feed(connection.recv(65536))
        refused = decode_to_worker(body)
        assert connection.recv(1) == b""

    assert isinstance(refused, Refused)
    assert (refused.final, refused.reason) == (
        True,
        f"root may ask the config owner of another user (uid {NOBODY}), and not attach to it as a worker",
    )
    assert cli.main(["status", "--address", service.address]) == 0
    assert "a process of another user" in capsys.readouterr().out
