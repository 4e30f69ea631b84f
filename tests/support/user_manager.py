"""A real systemd of its own for a test: a user's manager in its own mounts, processes and control groups.

Root is needed for that, and nothing of the machine's own systemd, which need not run. What is left when the test is
over is killed by the kernel, with the namespace of its processes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.leaks import children_of
from tests.support.waiting import DEADLINE, eventually

SYSTEMD = Path("/lib/systemd/systemd")
RUNTIME = "/run/user-manager"
NEEDS = ("unshare", "nsenter", "systemctl")

OUTER = """
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/cgroups {runtime}
mount -t cgroup2 none /run/cgroups
mkdir /run/cgroups/{group}
echo $$ > /run/cgroups/{group}/cgroup.procs
umount /run/cgroups
exec unshare --cgroup sh -c 'umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; exec "$@"' sh "$@"
"""
CLEANING = """
mount --make-rprivate /
mount -t cgroup2 none /mnt
find /mnt/{group} -depth -type d -exec rmdir {{}} +
"""


class UserManager:
    """The manager.

    Args:
        folder: For its files.

    Attributes:
        units: The folder of units.
        log: What it and its services write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.units = folder / "config" / "systemd" / "user"
        self.units.mkdir(parents=True)
        self.variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": RUNTIME,
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
        }
        self._group = folder.name
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it takes commands. Raises AssertionError, with what it has logged, if it can't run here."""
        spaces = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
        outer = OUTER.format(runtime=RUNTIME, group=self._group)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                # As process 1 it would be the system's manager.
                [*spaces, "sh", "-eu", "-c", outer, "sh", "sh", "-c", f"{SYSTEMD} --user --log-target=console; :"],
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        eventually(lambda: self._ends() or self._is_up(), f"a manager: {self.log.read_text()}")
        assert not self._ends(), self.log.read_text()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command where the manager is."""
        return subprocess.run(
            self.inside(*command), env=self.variables, capture_output=True, text=True, timeout=4 * DEADLINE
        )

    def inside(self, *command: str) -> list[str]:
        """What runs a command where the manager is."""
        (first,) = children_of(self._pid())
        return ["nsenter", f"--target={first}", "--mount", "--pid", "--cgroup", *command]

    def systemctl(self, *words: str, status: int = 0) -> None:
        """A command of systemctl's, which ends with this exit status."""
        done = self.run("systemctl", "--user", *words)
        assert done.returncode == status, f"{words}: {done.stdout}{done.stderr}\n{self.log.read_text()}"

    def show(self, unit: str) -> dict[str, str]:
        """What systemd knows of this unit."""
        wanted = "ActiveState,SubState,StatusText,MainPID,NRestarts,Result"
        lines = self.run("systemctl", "--user", "show", "--property", wanted, unit).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines)

    def await_state(self, unit: str, state: str, status: str = "") -> dict[str, str]:
        """What systemd knows of this unit, once it is in this state with this text in its status."""

        def found() -> dict[str, str]:
            shown = self.show(unit)
            return shown if shown.get("ActiveState") == state and status in shown.get("StatusText", "") else {}

        try:
            return eventually(found, f"{unit}: {state}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.show(unit)}\n{self.log.read_text()}") from None

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(DEADLINE)
        cleaning = ["unshare", "--mount", "sh", "-c", CLEANING.format(group=self._group)]
        eventually(
            lambda: subprocess.run(cleaning, capture_output=True, timeout=DEADLINE).returncode == 0,
            "the removal of its control groups",
        )

    def _pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _ends(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None

    def _is_up(self) -> bool:
        return bool(children_of(self._pid())) and self.run("systemctl", "--user", "show-environment").returncode == 0


@contextmanager
def user_manager() -> Iterator[UserManager]:
    """One for a test, started."""
    with tempfile.TemporaryDirectory(prefix="cc-systemd-") as folder:
        manager = UserManager(Path(folder))
        try:
            manager.start()
            yield manager
        finally:
            manager.close()


def why_not() -> str:
    """Why none can run here; empty if one can."""
    if os.geteuid() != 0:
        return "only root can give a manager its own control groups"
    missing = [each for each in NEEDS if shutil.which(each) is None]
    if missing or not SYSTEMD.exists():
        return f"there is no {', '.join(missing) or SYSTEMD} here"
    return ""


def here(unit: str, folder: Path) -> str:
    """A unit of the examples, for a user's manager: this Python's program, paths of the test's, and no other user."""
    lines = unit.replace("/opt/app/bin/confcast", f"{sys.executable} -m confcast").replace("/opt/app", str(folder))
    left_out = ("User=", "Group=", "SocketUser=", "SocketGroup=", "ProtectSystem=", "ProtectHome=", "PrivateTmp=")
    kept = [line for line in lines.replace("/run/app", f"{RUNTIME}/app").splitlines() if not line.startswith(left_out)]
    return "\n".join(kept) + "\n"
