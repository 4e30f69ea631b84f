"""confcast.service, tried without systemd: its commands, in the environment that systemd gives them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import manifests
from tests.support.deployed import here
from tests.support.settings import write
from tests.support.systemd import NotifySocket
from tests.support.waiting import DEADLINE, eventually

UNIT = manifests.unit("confcast.service")["Service"]
LOADER = """
import os
from confcast import ConfigLoader
loader = ConfigLoader("tests.support.settings:Settings", os.environ["CONFIGURATION_DIRECTORY"] + "/app.toml")
"""


class Service:
    """What systemd starts by the unit: its folders, and their names in the environment."""

    def __init__(self, folder: Path, runtime: Path) -> None:
        self.config, self._runtime = folder / "app.toml", runtime
        (folder / "settings.py").write_text(LOADER)
        self.notified = NotifySocket(folder / "notify")
        root = str(Path(__file__).parents[2])
        self._variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": root,
            "CONFIGURATION_DIRECTORY": str(folder),
            "STATE_DIRECTORY": str(folder / "state"),
            "RUNTIME_DIRECTORY": str(runtime),
        }
        self._folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        """Run ExecStart, as the main process; its pid."""
        more = {"NOTIFY_SOCKET": str(self.notified.path), "WATCHDOG_USEC": "60000000"}
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command("ExecStart"),
                cwd=self._folder,
                env={**self._variables, **more},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.notified.of(self.process.pid)
        return self.process.pid

    def reload(self) -> tuple[int, str]:
        """Run ExecReload; its exit status, and what it said."""
        done = subprocess.run(
            self._command("ExecReload"),
            cwd=self._folder,
            env=self._variables,
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE,
        )
        return done.returncode, done.stdout + done.stderr

    def ended(self) -> int:
        assert self.process is not None
        return self.process.wait(DEADLINE)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(DEADLINE)
        self.notified.close()

    def _command(self, key: str) -> list[str]:
        (line,) = UNIT[key]
        words = line.replace("${STATE_DIRECTORY}", self._variables["STATE_DIRECTORY"]).split()
        return [word.replace("/run/app", str(self._runtime)) for word in here(words)]


@pytest.fixture
def service(tmp_path: Path, runtime_folder: Path, nothing_is_left: None) -> Iterator[Service]:
    write(tmp_path / "app.toml", 1)
    service = Service(tmp_path, runtime_folder)
    yield service
    service.close()


def test_a_reload_tells_the_truth_and_versions_go_on_after_a_stop(service: Service) -> None:
    main = service.start()
    assert service.notified.await_state("running").startswith("serving version 1; start at ")
    write(service.config, 2)
    status, said = service.reload()
    assert status == 0, said
    service.config.write_text("number = 5\n")
    status, said = service.reload()
    assert status == 1
    assert "twin: Field required" in said
    service.notified.await_status("refused (validation_failed)")
    assert "RELOADING" not in [each.kind() for each in service.notified.said], "systemd waits for the command"

    os.kill(main, signal.SIGTERM)
    service.notified.await_state("stop")
    assert service.ended() == 0
    assert service.reload()[0] == 3

    write(service.config, 3)
    service.start()
    assert service.notified.await_state("running").startswith("serving version 3; start at ")


def test_a_start_that_is_refused_is_not_tried_again(service: Service) -> None:
    service.config.write_text("number = 5\n")
    service.start()
    assert str(service.ended()) in UNIT["RestartPreventExitStatus"]
    eventually(lambda: "twin: Field required" in service.notified.await_state("stop"), "the reason in the status")
