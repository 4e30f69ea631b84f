"""Programs of the typing contract, run as they are written: p01 to p05, what follows the settings; p15, unit tests.

They lie in `tests/typing/contract`, where the type checker reads them, too. Each is imported by a harness that starts a
manager, in a process of its own. The databases are SQLite, and as much of PostgreSQL as asyncpg needs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.installed import installed_or_skip

installed_or_skip("sqlalchemy", "httpx", "fastapi", "asyncpg")

_DEADLINE = 60
ROOT = Path(__file__).parents[2]
CONTRACT = Path(__file__).parents[1] / "typing" / "contract"

HARNESS = """\
import http.server, sys, threading
from pathlib import Path
from confcast import BuildError, ConfigLoader, ConfigReloadManager, ReloadResult
from c import settings
from tests.support.waiting import eventually

FILE = Path("app.toml")

class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *about):
        pass

def api():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f'[api]\\nbase = "http://127.0.0.1:{server.server_port}"\\n'

def database(name):
    return f'[database]\\nurl = "sqlite:///{name}"\\n'

def change(manager, text):
    FILE.write_text(text)
    return manager.reload()

def p01_engine_httpx(manager):
    here = api()
    assert change(manager, here + database("first.db"))
    settings.attach()
    import p01_engine_httpx as p
    assert p.handler() == 201
    engine, client = p.engine.current, p.client.current
    refused = change(manager, here + database("/nowhere/x.db"))
    assert refused.result is ReloadResult.REJECTED and refused.problems[0].key == "database", refused
    assert (p.handler(), p.engine.current is engine) == (201, True)
    with settings.pin():
        assert change(manager, here + database("second.db"))
        assert p.engine.current is engine and p.client.current is client
    assert p.handler() == 201
    assert p.engine.current is not engine and p.client.current is client
    assert change(manager, api() + database("second.db"))
    assert p.client.current is not client and p.handler() == 201

def p02_using(manager):
    assert change(manager, database("first.db"))
    settings.attach()
    import p02_using as p
    seen = lambda: (p.engine.current, p.repo.current, p.service.current, p.whole.current, p.client.current)
    first = seen()
    assert change(manager, database("first.db") + "[limits]\\napi = 3\\n")
    second = seen()
    assert [a is b for a, b in zip(first, second)] == [True, True, False, False, True]
    assert change(manager, database("second.db") + "[limits]\\napi = 3\\n")
    assert [a is b for a, b in zip(second, seen())] == [False, False, False, False, True]

def p03_uvicorn_lifespan(manager):
    from tests.support.postgres import Postgres
    from fastapi.testclient import TestClient
    with Postgres("open sesame") as postgres:
        text = lambda password: f'[database]\\nurl = "{postgres.url}"\\nsize = 10\\npassword = "{password}"\\n'
        assert change(manager, text("open sesame"))
        from p03_uvicorn_lifespan import app, pool
        with TestClient(app) as browser:
            assert browser.get("/readyz").json() is True
            assert (browser.get("/").json(), postgres.open) == (1, 10)
            wrong = change(manager, text("wrong"))
            assert wrong.result is ReloadResult.REJECTED and wrong.problems[0].key == "database", wrong
            assert "InvalidPasswordError: password authentication failed" in wrong.problems[0].message
            postgres.password = "rotated"
            rotated = change(manager, text("rotated"))
            assert rotated, rotated
            assert (browser.get("/").json(), postgres.open) == (1, 20), postgres.open  # both pools, for now
            assert pool.kept[0].pins == 0
    print(wrong, rotated)

def p04_kinto(manager):
    settings.attach()
    import p04_kinto as p
    answer = lambda: p.application({}, None)
    assert answer() == [b"x"]
    with settings.pin():
        assert change(manager, 'project = "y"')
        assert answer() == [b"x"]
    assert answer() == [b"y"]
    refused = change(manager, 'project = ""')
    assert refused.result is ReloadResult.REJECTED, refused
    assert "kinto can't be built: SystemExit: a project is expected" in refused.problems[0].message
    assert answer() == [b"y"]

def p05_logging(manager):
    import logging
    sound = '[logging]\\nversion = 1\\ndisable_existing_loggers = false\\n[logging.loggers.shop]\\nlevel = "{}"\\n'
    assert change(manager, sound.format("ERROR"))
    settings.attach()
    import p05_logging as p
    level = lambda: logging.getLevelName(logging.getLogger("shop").level)
    assert manager.reload(wait_observers=10.0) and level() == "ERROR"
    FILE.write_text(sound.format("DEBUG"))
    assert manager.reload(wait_observers=10.0) and level() == "DEBUG"
    broken = change(manager, sound.format("INFO") + '[logging.handlers.x]\\nclass = "no.such.Handler"\\n')
    ended = manager.wait()
    assert ended.result is ReloadResult.UNDONE, (broken, ended)
    assert "logging: Unable to configure handler 'x'" in str(ended.evidence), ended.evidence
    eventually(lambda: level() == "DEBUG", "the observer is called for the undo, too")

if __name__ == "__main__":
    FILE.write_text('project = "x"')
    with ConfigReloadManager(ConfigLoader("c:Settings", FILE), watch=False) as manager:
        globals()[sys.argv[1]](manager)
        settings.close()
"""
KINTO = """\
import sys

def main(global_config, project):
    if not project:
        sys.exit("a project is expected")
    return lambda environ, start_response: [project.encode()]
"""

CONFTEST = """\
import httpx, pytest

@pytest.fixture(autouse=True)
def no_network(confcast_fake):
    from p01_engine_httpx import client
    transport = httpx.MockTransport(lambda request: httpx.Response(200))
    with httpx.Client(base_url="http://x", transport=transport) as fake:
        confcast_fake(client, fake)
        yield
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The programs; the body that p04 leaves out, with a stand-in for the application that it names."""
    shutil.copytree(CONTRACT, tmp_path, dirs_exist_ok=True)
    for name, text in {"harness.py": HARNESS, "kinto.py": KINTO, "conftest.py": CONFTEST}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    program = (tmp_path / "p04_kinto.py").read_text(encoding="utf-8")
    body = "import kinto; return kinto.main({}, project=config.project)"
    assert "raise NotImplementedError" in program
    (tmp_path / "p04_kinto.py").write_text(program.replace("raise NotImplementedError", body), encoding="utf-8")
    (tmp_path / "ca.pem").write_bytes(Authority(tmp_path).pair("an authority", "EC")[0])
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-W", "ignore::DeprecationWarning:httpx", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_DEADLINE,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "open sesame" not in done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "program", ["p01_engine_httpx", "p02_using", "p03_uvicorn_lifespan", "p04_kinto", "p05_logging"]
)
def test_a_program_of_the_contract_does_what_it_says(program: str, folder: Path) -> None:
    run(folder, "harness.py", program)


def test_the_unit_tests_of_the_contract_pass(folder: Path) -> None:
    assert "4 passed" in run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "p15_tests.py")
