"""A server as a manifest of `examples/deploy` has it started.

Replaced are paths (a folder of the test's for each that a manifest names), the port, and the two programs, which are
this Python's. All else is done as the manifest says it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support import manifests, server
from tests.support.examples import Server
from tests.support.leaks import children_of, is_running
from tests.support.waiting import DEADLINE, eventually

PROGRAMS = {"gunicorn": [sys.executable, "-m", "gunicorn"], "confcast": [sys.executable, "-m", "confcast"]}


class Deployed(Server):
    """The server of a manifest, with an application that has gates in the place of the manifest's.

    Args:
        folder: For its files.
        program: The manifest's command.
        variables: The environment that the manifest's system gives it; there is no other.
    """

    def __init__(self, folder: Path, program: list[str], variables: dict[str, str]) -> None:
        super().__init__(folder, "flask_site:app")
        self._program = program
        self.variables = {
            **variables,
            "BIND": "127.0.0.1:0",
            "TESTED": str(self.runtime),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def command(self, *arguments: str) -> list[str]:
        """What the manifest says."""
        return self.inside([*here(self._program), *arguments, "flask_site:app"])

    def inside(self, command: list[str]) -> list[str]:
        """What starts the server where the manifest has it run."""
        return command

    def beside(self, command: list[str]) -> list[str]:
        """What starts another program there."""
        return command

    def launch(self, *arguments: str) -> None:
        """Start it, in a working directory that is no place for anything."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(*arguments),
                cwd="/",
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def run(self, command: list[str]) -> tuple[int, str]:
        """Run a command of a manifest's beside it; its exit status, and what it said."""
        done = subprocess.run(
            self.beside(here(command)),
            cwd="/",
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=2 * DEADLINE,
        )
        return done.returncode, done.stdout + done.stderr

    def processes(self) -> list[int]:
        """All that have its environment."""
        mark = f"TESTED={self.runtime}".encode()
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [pid for pid in pids if is_running(pid) and mark in _environment(pid)]


class Service(Deployed):
    """What systemd starts by app.service: folders of its own, and their names in the environment."""

    def __init__(self, folder: Path) -> None:
        self.unit = manifests.unit()["Service"]
        for name in ("etc", "state"):
            (folder / name).mkdir(parents=True)
        variables = {"CONFIGURATION_DIRECTORY": str(folder / "etc"), "STATE_DIRECTORY": str(folder / "state")}
        super().__init__(folder, self.unit["ExecStart"][0].split(), variables)
        self.variables["RUNTIME_DIRECTORY"] = str(self.runtime)

    def change(self, text: str = "") -> int:
        """Put the next number into the file, or this text."""
        number = super().change(text)
        (self.folder / "app.toml").replace(self.folder / "etc" / "app.toml")
        return number


class Container(Deployed):
    """What the kubelet starts by kubernetes.yaml: process 1, not root, and nothing to write to but its emptyDir."""

    def __init__(self, folder: Path) -> None:
        self.manifest = manifests.container()
        self.user = manifests.pod()["securityContext"]["runAsUser"]
        self.mounted = folder / "etc"
        variables = {each["name"]: each["value"] for each in self.manifest["env"]}
        super().__init__(folder, self.manifest["command"], variables)
        self.variables["CONFIGURATION_DIRECTORY"] = str(self.mounted)
        self.variables["CONFCAST_RUNTIME_DIR"] = str(self.runtime)
        self.runtime.chmod(0o777)  # as an emptyDir is

    def change(self, text: str = "") -> int:
        """The kubelet's way: a new folder, and a link to it that is replaced."""
        number = super().change(text)
        self._updates = getattr(self, "_updates", 0) + 1
        fresh = self.mounted / f"..2026_{self._updates}"
        fresh.mkdir(parents=True)
        (self.folder / "app.toml").replace(fresh / "app.toml")
        (self.mounted / "..data_tmp").symlink_to(fresh.name)
        before = (self.mounted / "..data").resolve()
        (self.mounted / "..data_tmp").replace(self.mounted / "..data")
        if self._updates == 1:
            (self.mounted / "app.toml").symlink_to("..data/app.toml")
        else:
            shutil.rmtree(before)
        return number

    def inside(self, command: list[str]) -> list[str]:
        """In its own processes and mounts."""
        mounts = f'mount --bind {self.runtime} {self.runtime} && mount -o remount,bind,ro / && exec "$@"'
        spaces = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
        return [*spaces, "sh", "-c", mounts, "sh", *self._as_user(command)]

    def beside(self, command: list[str]) -> list[str]:
        """As `kubectl exec` does it."""
        return ["nsenter", f"--target={self.pid}", "--mount", "--pid", *self._as_user(command)]

    def ask(self, path: str) -> Any:
        """One request. The owner answers its own user only: what it knows is asked of the application."""
        return server.Server.ask(self, path)

    def _as_user(self, command: list[str]) -> list[str]:
        """May read everything, since this Python may lie where only root can; writes nothing that is not its own."""
        who = [f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
        return ["setpriv", *who, "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search", *command]

    def processes(self) -> list[int]:
        """Those in it, and not the one that waits for its end outside."""
        outside = self._process.pid if self._process is not None else 0
        return [pid for pid in super().processes() if pid != outside]

    @property
    def pid(self) -> int:
        """Process 1, as it is seen from here."""
        (pid,) = eventually(lambda: self.masters(), "the container's process 1")
        return pid

    def masters(self) -> list[int]:
        """The same, if it runs."""
        return list(children_of(self._process.pid)) if self._process is not None and self._is_running() else []


def here(command: list[str]) -> list[str]:
    """A manifest's command line with the program that is here."""
    return [*PROGRAMS[Path(command[0]).name], *command[1:]]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
