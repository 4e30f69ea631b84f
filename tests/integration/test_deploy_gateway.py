"""gateway.service, tried without systemd: its command in the environment that systemd gives it, with a host behind."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast import ConfigError
from confcast.fleet import Gateway
from confcast.fleet.gateway.limits import Limits
from tests.support import manifests
from tests.support.certificates import Authority
from tests.support.engines.redis import Redis
from tests.support.engines.server import free_port
from tests.support.waiting import DEADLINE, eventually

UNIT = manifests.unit("gateway.service")["Service"]
PASSWORD, TOKEN = "the engine's own", "0123456789abcdef0123456789abcdef"


@pytest.fixture
def redis() -> Iterator[Redis]:
    if not Redis.programs():
        pytest.skip("there is neither a redis-server nor a valkey-server")
    with Redis(Redis.programs()[0]).with_password(PASSWORD) as server:
        yield server


@pytest.fixture
def folders(tmp_path: Path, redis: Redis) -> dict[str, str]:
    """What systemd and an administrator have made."""
    names = {"CONFIGURATION_DIRECTORY": tmp_path / "etc", "STATE_DIRECTORY": tmp_path / "state"}
    for path in names.values():
        path.mkdir(mode=0o700)
    etc = names["CONFIGURATION_DIRECTORY"]
    certificate, private = Authority(tmp_path).pair("gateway", address="127.0.0.1")
    (etc / "tls.pem").write_bytes(certificate + private)
    (tmp_path / "ca.pem").write_bytes(certificate)
    (etc / "password").write_text(PASSWORD)
    (etc / "tokens").write_text(f"{TOKEN}\n")
    variables = {"CONFCAST_FLEET_URL": redis.url, "CONFCAST_FLEET_KEY": "shop"}
    return {**{name: str(path) for name, path in names.items()}, **variables}


def test_a_host_behind_it_reads_what_was_published_and_it_ends_in_order(folders: dict[str, str], tmp_path: Path):
    published = confcast(["fleet", "publish", "app.toml", "--password-file", "etc/password"], folders, tmp_path)
    _, said = published.communicate(timeout=DEADLINE)
    assert published.returncode == 0, said
    port = free_port()
    (command,) = UNIT["ExecStart"]
    expanded = re.sub(r"\$\{(\w+)\}", lambda found: folders[found[1]], command)
    program, *arguments = shlex.split(expanded.replace("0.0.0.0:9180", f"127.0.0.1:{port}"))
    assert program == "/opt/app/bin/confcast"
    authority = tmp_path / "ca.pem"
    process = confcast(arguments, folders, tmp_path)
    try:
        source = Gateway([f"https://127.0.0.1:{port}"], "shop", password=TOKEN, ca_file=authority)
        eventually(lambda: reads(source), "a gateway that listens")
        stranger = Gateway([f"https://127.0.0.1:{port}"], "shop", password="another one", ca_file=authority)
        assert not reads(stranger)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, said
    assert PASSWORD not in said
    assert list(Path(folders["STATE_DIRECTORY"]).glob("key-*"))


def test_a_start_that_can_not_be_ends_with_the_status_that_is_not_tried_again(folders: dict[str, str], tmp_path: Path):
    process = confcast(["fleet", "gateway", "--token-file", "none"], folders, tmp_path)
    process.communicate(timeout=DEADLINE)
    assert [str(process.returncode)] == UNIT["RestartPreventExitStatus"]


def test_it_has_room_for_its_connections_and_time_for_its_end():
    assert int(UNIT["LimitNOFILE"][0]) > Limits().connections + 100
    assert int(UNIT["TimeoutStopSec"][0]) > 2 * Limits().closing
    assert UNIT["StateDirectory"] == UNIT["ConfigurationDirectory"] == ["confcast-gateway"]


def confcast(arguments: list[str], variables: dict[str, str], folder: Path) -> subprocess.Popen[str]:
    (folder / "app.toml").write_text("number = 1\n")
    environment = {"PATH": os.environ["PATH"], **variables}
    command = [sys.executable, "-m", "confcast", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment, cwd=folder)


def reads(source: Gateway) -> bool:
    with contextlib.suppress(ConfigError):
        return source.read().data == {"number": 1}
    return False
