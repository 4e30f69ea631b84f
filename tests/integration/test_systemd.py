"""The units of `confcast serve` under a real systemd: what `systemctl` answers, and what it knows of the service."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import manifests, user_manager
from tests.support.settings import write
from tests.support.user_manager import RUNTIME, UserManager, here
from tests.support.waiting import DEADLINE, eventually

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(bool(user_manager.why_not()), reason=user_manager.why_not() or "-"),
]

ROOT = Path(__file__).parents[2]
LOADER = """
import os
from confcast import ConfigLoader
loader = ConfigLoader("tests.support.settings:SCHEMA", os.environ["CONFIGURATION_DIRECTORY"] + "/app.toml")
"""


WORKER = """
import sys
from confcast import Replica
from tests.support.settings import Settings
Replica(Settings, name="app").attach()
print("attached", flush=True)
sys.stdin.read()
"""


class Host:
    """A manager with the units of the examples, and the file that they configure."""

    def __init__(self, manager: UserManager) -> None:
        self.manager = manager
        self.config = manager.folder / "config" / "app" / "app.toml"
        self.config.parent.mkdir()
        write(self.config, 1)
        self.use("Settings")

    def use(self, schema: str) -> None:
        """Have the code that is started from now on have this schema."""
        (self.manager.folder / "settings.py").write_text(LOADER.replace("SCHEMA", schema))

    def install(self, name: str, replaced: dict[str, str] | None = None, into: str = "") -> None:
        """One unit of the examples; `replaced`: lines that begin with a key have this value."""
        text = here((manifests.FOLDER / name).read_text(), self.manager.folder)
        more = f"Environment=PYTHONPATH={ROOT}\nStandardError=append:{self.manager.log}\n"
        text = text.replace("[Service]\n", f"[Service]\n{more}")
        for key, value in (replaced or {}).items():
            text, count = re.subn(rf"(?m)^{key}=.*$", f"{key}={value}", text)
            assert count == 1, key
        (self.manager.units / into).mkdir(exist_ok=True)
        (self.manager.units / into / name).write_text(text)
        self.manager.systemctl("daemon-reload")

    def owner(self, unit: str) -> int:
        """The pid of the owner, as the manager's processes see it."""
        main = self.manager.show(unit)["MainPID"]
        (owner,) = self.manager.run("pgrep", "-P", main).stdout.split()
        return int(owner)

    def confcast(self, *words: str) -> str:
        """What a command says, where the manager is."""
        variables = (f"PYTHONPATH={ROOT}", f"CONFCAST_RUNTIME_DIR={RUNTIME}/app")
        done = self.manager.run("env", *variables, sys.executable, "-m", "confcast", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def worker(self) -> Iterator[None]:
        """A process that is attached in the block."""
        python = ["env", f"PYTHONPATH={ROOT}", f"CONFCAST_ADDRESS_APP={RUNTIME}/app/config.sock", sys.executable]
        command = self.manager.inside(*python, "-c", WORKER)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == b"attached\n"
            yield
            process.stdin.close()
            assert process.wait(DEADLINE) == 0

    def kill(self, number: int, pid: int) -> None:
        assert self.manager.run("kill", f"-{number}", str(pid)).returncode == 0


@pytest.fixture
def host() -> Iterator[Host]:
    with user_manager.user_manager() as manager:
        yield Host(manager)


def test_systemctl_reload_tells_the_truth_and_status_has_the_verdict(host: Host) -> None:
    host.install("confcast.service")
    manager = host.manager
    manager.systemctl("start", "confcast")
    shown = manager.await_state("confcast", "active", "serving version 1; start at ")
    assert int(shown["MainPID"]) > 0

    write(host.config, 2)
    manager.systemctl("reload", "confcast")
    manager.await_state("confcast", "active", "serving version 2; ")
    host.config.write_text("number = 5\n")
    manager.systemctl("reload", "confcast", status=1)
    refused = manager.await_state("confcast", "active", "refused (validation_failed): ")
    assert refused["StatusText"].startswith("serving version 2; ")
    assert refused["MainPID"] == shown["MainPID"]

    write(host.config, 3)
    host.kill(signal.SIGHUP, int(shown["MainPID"]))  # the unit is reloading, and then is active again
    manager.await_state("confcast", "active", "serving version 3; ")
    manager.systemctl("stop", "confcast")
    ended = manager.await_state("confcast", "inactive")
    assert ended["Result"] == "success"

    manager.systemctl("start", "confcast")
    manager.await_state("confcast", "active", "serving version 3; start at ")


def test_the_watchdog_ends_a_service_whose_owner_was_stopped_and_it_comes_back(host: Host) -> None:
    host.install("confcast.service", {"WatchdogSec": "2"})
    manager = host.manager
    manager.systemctl("start", "confcast")
    write(host.config, 2)
    manager.systemctl("reload", "confcast")
    former = manager.await_state("confcast", "active", "serving version 2; ")
    host.kill(signal.SIGSTOP, host.owner("confcast"))

    def is_another(shown: dict[str, str]) -> bool:
        return shown["MainPID"] not in ("0", former["MainPID"])

    while not is_another(shown := manager.await_state("confcast", "active")):
        continue
    shown = manager.await_state("confcast", "active", "serving version 2; start at ")
    assert shown["NRestarts"] == "1"


def test_a_start_that_is_refused_fails_and_is_not_tried_again(host: Host) -> None:
    host.install("confcast.service")
    host.config.write_text("number = 5\n")
    host.manager.systemctl("start", "confcast", status=1)
    shown = host.manager.await_state("confcast", "failed")
    assert (shown["NRestarts"], shown["Result"]) == ("0", "exit-code")


def test_systemd_listens_and_starts_the_service_for_the_first_who_asks(host: Host) -> None:
    manager = host.manager
    for name in ("confcast.service", "confcast.socket"):
        host.install(name)
    host.install("socket.conf", into="confcast.service.d")
    manager.systemctl("start", "confcast.socket")
    assert manager.show("confcast")["ActiveState"] == "inactive"
    address = f"{RUNTIME}/app/config.sock"
    assert host.confcast("exec", "--address", address, "--", "printenv", "CONFCAST_ADDRESS_APP") == f"{address}\n"
    first = manager.await_state("confcast", "active", "serving version 1; ")

    write(host.config, 2)
    manager.systemctl("reload", "confcast")
    manager.systemctl("restart", "confcast")
    second = manager.await_state("confcast", "active", "serving version 2; start at ")
    assert second["MainPID"] != first["MainPID"]
    assert "version  2 of 'app'" in host.confcast("status", "--address", address)

    manager.systemctl("stop", "confcast.service")
    assert host.confcast("exec", "--address", address, "--", "echo", "again") == "again\n"
    manager.await_state("confcast", "active", "serving version 2; ")


def test_one_service_takes_the_place_of_another_and_one_that_is_refused_does_not(host: Host) -> None:
    host.install("confcast@.service")
    manager = host.manager
    manager.systemctl("start", "confcast@1")
    manager.await_state("confcast@1", "active", "serving version 1; ")
    manager.systemctl("start", "confcast@2")
    manager.await_state("confcast@2", "active", "serving version 1; ")
    ended = manager.await_state("confcast@1", "inactive")
    assert ended["Result"] == "success"

    write(host.config, 2)
    manager.systemctl("reload", "confcast@2")
    manager.await_state("confcast@2", "active", "serving version 2; ")
    host.config.write_text("number = 5\n")
    manager.systemctl("start", "confcast@3", status=1)
    manager.await_state("confcast@3", "failed")
    write(host.config, 3)
    manager.systemctl("reload", "confcast@2")
    manager.await_state("confcast@2", "active", "serving version 3; ")


def test_a_service_whose_workers_have_the_former_schema_ends_after_the_last_of_them(host: Host) -> None:
    host.install("confcast@.service", {"TimeoutStopSec": "1", "WatchdogSec": "2"})
    manager = host.manager
    manager.systemctl("start", "confcast@1")
    with host.worker():
        host.use("Frozen")
        host.config.write_text("number = 2\n")
        manager.systemctl("start", "confcast@2")
        manager.await_state("confcast@2", "active", "serving version 2; ")
        manager.await_state("confcast@1", "active", "has taken over; this one ends when no worker needs it")
        assert " 1  current\n" in host.confcast("status", "--pid", manager.show("confcast@1")["MainPID"])
        began = time.monotonic()
        eventually(lambda: time.monotonic() > began + 4, "a time after which systemd would have killed it")
        assert manager.show("confcast@1")["ActiveState"] == "active"
    ended = manager.await_state("confcast@1", "inactive")
    assert ended["Result"] == "success"
