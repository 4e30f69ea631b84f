"""kubernetes.yaml, tried without a cluster: its command as process 1 of its own namespaces, with a read-only root.

Not as root, with the ConfigMap as the kubelet mounts it, and the emptyDir as the only place to write to.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deployed import Container
from tests.support.leaks import is_running
from tests.support.load import Load
from tests.support.server import servers_of
from tests.support.waiting import eventually


def namespaces() -> bool:
    """Whether this process may make them."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "setpriv", "mount"))):
        return False
    probe = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", "mount -o remount,bind,ro /"]
    return subprocess.run(probe, capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not namespaces(), reason="only root may make namespaces, and not in every container")

RELOAD = ["confcast", "reload"]


@pytest.fixture
def container() -> Iterator[Container]:
    """In a folder that every user can reach, as a mounted ConfigMap is: what can't be read can't be listened to."""
    with tempfile.TemporaryDirectory(prefix="cc-") as folder, servers_of(Container, Path(folder)) as make:
        Path(folder).chmod(0o755)
        yield make().start()


def probe(container: Container) -> dict[str, object]:
    """What the readiness probe asks; any answer but 200 fails."""
    answer: dict[str, object] = container.ask(container.manifest["readinessProbe"]["httpGet"]["path"].strip("/"))
    return answer


def test_a_configmap_changes_without_a_rollout_and_a_bad_one_changes_nothing(container: Container):
    before = container.pids()
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in container.processes()} >= {container.user}
    assert {Path(f"/proc/{pid}").stat().st_uid for pid in container.processes()} == {container.user}

    with Load(lambda: probe(container)["version"]) as load:
        number = container.change()
        eventually(lambda: {each["number"] for each in container.everyone().values()} == {number}, "the new ConfigMap")
        eventually(lambda: container.run(RELOAD)[0] == 0, "a verdict")

        container.change("greeting = 5\n")
        status, said = container.run(RELOAD)
        assert (status, "app.toml:1:12: greeting" in said) == (1, True), said
        assert {each["number"] for each in container.everyone().values()} == {number}
        os.kill(container.owner(), signal.SIGKILL)
        container.change()
        eventually(lambda: {each["number"] for each in container.everyone().values()} == {number + 1}, "a new owner")
        load.go_on()

    assert set(container.everyone()) == before
    assert container.crashes() == []


@pytest.mark.slow
def test_a_container_that_was_killed_starts_again_over_what_it_left(container: Container):
    """The same emptyDir, and process 1 again: what is left must not be taken for something that lives."""
    master = container.pid
    container.signal(signal.SIGKILL)
    eventually(lambda: not container.processes(), "the end of the container")
    container.ended()
    assert not is_running(master)
    (left,) = container.runtime.iterdir()

    (container.folder / "log").unlink()
    container.start()

    assert not left.exists()
    status, said = container.run(RELOAD)
    assert (status, said.startswith("unchanged")) == (0, True), said
