"""A program of the typing contract, run as it is written: p14, a host of a fleet with a trial and a probe.

The engine is a real one on this machine, and the state folder is the test's: the rest of the program's loader and
manager is as it is written. What its last line types is typed.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.engines.redis import Redis
from tests.support.waiting import DEADLINE

CONTRACT = Path(__file__).parents[1] / "typing" / "contract"
PUBLISH = next(line for line in (CONTRACT / "p14_fleet.py").read_text().splitlines() if line.startswith("# confcast"))

HARNESS = """\
import os, subprocess, sys
from pathlib import Path
import msgspec
from confcast import Canary, ConfigLoader, ConfigReloadManager
from confcast.fleet import Redis
from c import settings
import p14_fleet as p

engine, environment = p.loader.sources
assert isinstance(engine, Redis) and engine.url == "rediss://cfg.internal/0" and engine.key == "app"
assert engine.password_file == "/run/secrets/redis"
here = msgspec.structs.replace(engine, url=os.environ["URL"], password_file="secret", ca_file="ca.pem")
options = {"on_start_error": "last_good", "canary": Canary(1, seconds=1, min_requests=0), "probation": 1.0}
loader = ConfigLoader("c:Settings", here, environment)

def publish(text):
    Path("app.toml").write_text(text)
    return subprocess.run(os.environ["PUBLISH"].split("|"), capture_output=True, text=True)

done = publish('project = "x1"')
assert done.returncode == 0, done
with ConfigReloadManager(loader, state_dir="state", **options) as manager:
    settings.attach()
    assert settings.latest.project == "x1"
    done = publish('project = "x2"')
    assert done.returncode == 0, (done, manager.get_event_history())
    assert settings.latest.project == "x2"
    print(done.stdout, manager.status(), manager.get_event_history())
    settings.close()
"""


def test_a_rollout_reaches_a_host_with_a_trial(tmp_path: Path) -> None:
    program = next((each for each in Redis.programs() if each.has_tls), None)
    if program is None:
        pytest.skip("there is no redis-server with TLS")
    shutil.copytree(CONTRACT, tmp_path, dirs_exist_ok=True)
    (tmp_path / "harness.py").write_text(HARNESS, encoding="utf-8")
    (tmp_path / "secret").write_text("hunter2\n", encoding="utf-8")
    (tmp_path / "certificates").mkdir()
    authority = Authority(tmp_path / "certificates")
    certificate, key = authority.pair("the engine", address="127.0.0.1")
    authority.put(authority.keyfile, key)
    authority.put(authority.certfile, certificate)
    shutil.copy(authority.certfile, tmp_path / "ca.pem")
    with Redis(program).with_password("hunter2").with_tls(authority) as server:
        done = subprocess.run(
            [sys.executable, "harness.py"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
            env={**os.environ, "URL": server.url, "PUBLISH": "|".join(typed(server.url))},
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def typed(url: str) -> list[str]:
    """The command of the program's last line, for this engine, and with a bake time that a test can wait for."""
    _, *words = shlex.split(PUBLISH.removeprefix("# ").replace("rediss://…", url).replace("60s", "1s"))
    return [sys.executable, "-m", "confcast", *words, "--password-file", "secret", "--ca-file", "ca.pem"]
