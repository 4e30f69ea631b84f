"""The guide's page on many hosts: its commands as a reader types them, on a real engine, with a host that follows."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from confcast import ConfigError, ConfigLoader
from confcast.master.embedded import EmbeddedManager
from confcast.wire.options import Options
from tests.support.engines.redis import Redis
from tests.support.engines.server import free_port
from tests.support.snippets import GUIDE, commands, files, imported_from, snippets
from tests.support.waiting import DEADLINE, eventually

PAGE = GUIDE / "many_hosts.md"
ADDRESS, GATEWAY = "127.0.0.1:6379", "127.0.0.1:9180"


@pytest.fixture
def server():
    if not Redis.programs():
        pytest.skip("there is neither a redis-server nor a valkey-server")
    with Redis(Redis.programs()[0]) as server:
        yield server


def test_its_commands_change_a_host_and_say_what_came_of_it(
    server: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_is_left: None
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in files(PAGE).items():
        Path(name).write_text(text.replace(ADDRESS, f"127.0.0.1:{server.port}"))
    first, status, export, second, history, diff, rollback, gateway = commands(PAGE)
    for name, value in (each.split("=", 1) for each in export.split()[1:]):
        monkeypatch.setenv(name, value.replace(ADDRESS, f"127.0.0.1:{server.port}"))
    assert "stable" in typed(first, server)
    with imported_from(tmp_path):
        manager = EmbeddedManager(ConfigLoader.find("sources:loader"), probation=0, state_dir="state")
        with manager:
            assert manager.current.greeting == "good morning"
            assert "1 there" in typed(status, server)
            Path("app.toml").write_text('greeting = "good evening"\n')
            assert "promoted" in typed(second, server)
            assert manager.current.greeting == "good evening"
            assert "a small fleet" in typed(history, server)
            assert "greeting: 'good morning' -> 'good evening'" in typed(diff, server)
            typed(rollback, server)
            eventually(lambda: manager.current.greeting == "good morning", "what was stable before")
            follows_a_gateway(gateway, server)


def follows_a_gateway(command: str, server: Redis) -> None:
    """The gateway listens, and a loader of its source reads what is stable."""
    place = f"127.0.0.1:{free_port()}"
    arguments = shlex.split(command.replace(ADDRESS, f"127.0.0.1:{server.port}").replace(GATEWAY, place))[1:]
    process = subprocess.Popen([sys.executable, "-m", "confcast", *arguments], stderr=subprocess.PIPE)
    try:
        Path("behind.py").write_text(
            "from confcast import ConfigLoader\nfrom confcast.fleet import Gateway\n"
            f'loader = ConfigLoader("settings:Settings", Gateway(["http://{place}"], "shop"))\n'
        )
        loader = ConfigLoader.find("behind:loader")
        eventually(lambda: _reads(loader), "a gateway that listens")
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE)
    assert process.returncode == 0


def _reads(loader: ConfigLoader) -> bool:
    with contextlib.suppress(ConfigError):
        return loader.load().config.greeting == "good morning"
    return False


def typed(command: str, server: Redis) -> str:
    """What a command prints; it has to succeed."""
    program, *arguments = shlex.split(command.replace(ADDRESS, f"127.0.0.1:{server.port}"))
    assert program == "confcast"
    done = subprocess.run(
        [sys.executable, "-m", "confcast", *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        env={**os.environ, "COLUMNS": "120"},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_options_that_it_names_are_the_defaults() -> None:
    from confcast.fleet.head import Rollout

    (shown,) = (each.text for each in snippets(PAGE) if each.text.startswith("--stages"))
    plan = Rollout(stages=())
    assert f"--bake {plan.bake:g}s --min-acks {plan.min_acks} --max-refused {plan.max_refused}" in shown
    assert f"--max-lag {plan.max_lag:g}s" in shown
    assert "labels" in Options.__struct_fields__


def test_the_numbers_that_it_names_are_those_of_the_engines_and_of_the_rollout() -> None:
    from confcast.fleet import follower, reports
    from confcast.fleet.engines import engine, etcd, nats, redis
    from confcast.fleet.engines import postgres_tables as postgres
    from confcast.fleet.gateway.limits import Limits
    from confcast.fleet.rollout import machine

    assert (engine.MOST_ENTRIES, nats.KEPT_HEADS) == (1000, 64)
    assert (redis._KEPT, nats._REPORTS_KEPT, etcd.KEPT, postgres.KEPT) == (86_400, 86_400, 600, 3600)
    assert (machine.LOST_AFTER, machine.GAP, reports.SEEN_WITHIN, reports.BEAT) == (30.0, 10.0, 180.0, 60.0)
    assert (follower.VERIFY, follower.LONGEST_PAUSE, engine.MOST_PAYLOAD) == (30.0, 2.0, 2**20 - 1024)
    assert (Limits().hosts, Limits().taken) == (4000, 5.0)


def test_the_rights_that_it_names_are_those_that_a_host_is_tested_with() -> None:
    from confcast.fleet.engines import redis
    from confcast.fleet.engines.postgres_tables import Tables

    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    rights = re.search(r"`(resetkeys [^`]+)`", redis.__doc__ or "")
    assert rights is not None
    assert " ".join(rights[1].split()).replace("{KEY}", "{shop}") in page
    granted = Tables("public").grants("host").replace('"', "").replace("public.", "")
    for line in filter(None, granted.splitlines()):
        assert re.sub(r"\s+", " ", line) in page
