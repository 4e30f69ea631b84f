"""The guide's page "What you build from your settings": its programs are run, under a manager, as the page says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.installed import installed_or_skip
from tests.support.snippets import GUIDE, ROOT, files

installed_or_skip("fastapi", "httpx", "sqlalchemy", "asyncpg")

PAGE = GUIDE / "derived.md"
_DEADLINE = 60

HARNESS = """\
import http.server, sqlite3, sys, threading
from pathlib import Path
from confcast import ConfigLoader, ConfigReloadManager, ReloadResult

FILE = Path("app.toml")

def database(path, *names):
    with sqlite3.connect(path) as made:
        made.execute("create table articles (name)")
        made.executemany("insert into articles values (?)", [(name,) for name in names])

def shop(manager):
    from settings import settings
    settings.attach()
    from shop import connection, handler
    assert handler() == "hi, 1 articles"
    first = connection.current
    FILE.write_text('greeting = "moin"')
    assert manager.reload() and handler() == "moin, 1 articles" and connection.current is first
    FILE.write_text('[database]\\npath = "nowhere/x.db"\\npassword = "open sesame"')
    event = manager.reload()
    assert event.result is ReloadResult.REJECTED and event.problems[0].key == "database", event
    assert "unable to open database file" in event.problems[0].message
    with settings.pin():
        FILE.write_text('[database]\\npath = "other.db"\\npassword = "open sesame"')
        assert manager.reload()
        assert handler() == "hi, 1 articles" or handler() == "moin, 1 articles"
        assert connection.kept[0].pins == 1
    assert handler() == "hi, 2 articles"
    settings.close()
    assert connection.failed_closes == 0

class Api(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(self.server.server_port).encode())
    def log_message(self, *about):
        pass

def lifespan(manager):
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api) for _ in range(2)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    first, second = (server.server_port for server in servers)
    FILE.write_text(f'[api]\\nbase = "http://127.0.0.1:{first}"')
    assert manager.reload()
    from fastapi.testclient import TestClient
    from lifespan import app
    with TestClient(app) as browser:
        assert browser.get("/readyz").json() is True
        assert browser.get("/").json() == str(first)
        FILE.write_text('[api]\\nbase = "http://127.0.0.1:1"')
        event = manager.reload()
        assert event.result is ReloadResult.REJECTED and event.problems[0].key == "api", event
        FILE.write_text(f'[api]\\nbase = "http://127.0.0.1:{second}"')
        assert manager.reload()
        assert browser.get("/").json() == str(second)

def per_version(manager):
    from settings import settings
    settings.attach()
    from per_version import application
    answer = lambda: application({}, lambda *about: None)
    with settings.pin():
        FILE.write_text('greeting = "moin"')
        assert manager.reload()
        assert answer() == [b"hi"]
    assert answer() == [b"moin"]
    settings.close()

def engine(manager):
    from settings import settings
    settings.attach()
    from engine import count, engine
    assert count() == 1
    FILE.write_text('[database]\\npath = "nowhere/x.db"')
    event = manager.reload()
    assert event.result is ReloadResult.REJECTED and event.problems[0].key == "database", event
    FILE.write_text('[database]\\npath = "other.db"')
    assert manager.reload() and count() == 2
    settings.close()

def tls(manager):
    import socket
    from tests.support.certificates import Authority, served
    from settings import settings
    authority = Authority(Path.cwd())
    FILE.write_text('[tls]\\ncertfile = "cert.pem"\\nkeyfile = "key.pem"')
    assert manager.reload()
    settings.attach()
    import tls
    listener = socket.create_server(("127.0.0.1", 0))
    def serve():
        while True:
            tls.accept(listener).close()
    threading.Thread(target=serve, daemon=True).start()
    port = listener.getsockname()[1]
    assert served(port) == "first"
    Path("key.pem").write_bytes(authority.pair("another", "EC")[1])
    event = manager.reload()
    assert event.result is ReloadResult.REJECTED and event.problems[0].key == "tls", event
    assert served(port) == "first"
    authority.issue("second")
    assert manager.reload() and served(port) == "second"
    settings.close()

def rotated(manager):
    from fastapi.testclient import TestClient
    from tests.support.postgres import Postgres
    text = lambda password: f'[postgres]\\nurl = "{postgres.url}"\\npassword = "{password}"'
    with Postgres("open sesame") as postgres:
        FILE.write_text(text("open sesame"))
        assert manager.reload()
        from rotated import app
        with TestClient(app) as browser:
            assert (browser.get("/").json(), postgres.open) == (1, 2)
            postgres.password = "open barley"
            FILE.write_text(text("open rye"))
            event = manager.reload()
            assert event.result is ReloadResult.REJECTED and event.problems[0].key == "postgres", event
            FILE.write_text(text("open barley"))
            assert manager.reload()
            assert (browser.get("/").json(), postgres.open) == (1, 4)

if __name__ == "__main__":
    FILE.write_text('greeting = "hi"')
    database("shop.db", "hat")
    database("other.db", "hat", "coat")
    with ConfigReloadManager(ConfigLoader("settings:Settings", FILE), watch=False) as manager:
        globals()[sys.argv[1]](manager)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {**files(PAGE), "harness.py": HARNESS}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=_DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "open sesame" not in done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("program", ["shop", "engine", "tls", "lifespan", "rotated", "per_version"])
def test_a_program_of_the_page_does_what_it_says(folder: Path, program: str) -> None:
    run(folder, "harness.py", program)


def test_the_page_s_unit_tests_pass(folder: Path) -> None:
    assert "2 passed" in run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py")
