"""The guide's page on logs: its programs, and what they print."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.snippets import GUIDE, files, snippets

PAGE = GUIDE / "logs.md"
_DEADLINE = 60

LIBRARIES = """\
import json, io, logging, logging.config, sys
import structlog
from json_logs import by_python_json_logger, by_structlog
from log_config import LOGGING
from settings import Settings, settings
from confcast.log_fields import about

with settings.override(Settings()):
    for made in (by_python_json_logger, by_structlog):
        sys.stdout = io.StringIO()
        logging.basicConfig(handlers=[made()], level="INFO", force=True)
        logging.getLogger("confcast.worker").warning("gone", extra=about("owner_lost", version=1))
        structlog.get_logger("shop").info("sold")
        written, sys.stdout = sys.stdout.getvalue(), sys.__stdout__
        print(written, end="")
    logging.config.dictConfig(LOGGING)
    logging.info("by dictConfig")
"""


ASK = """\
import io
from settings import Settings, settings
from wsgi import app

def ask(path):
    begun = []
    body = app({"PATH_INFO": path, "REQUEST_METHOD": "GET"}, lambda *given: begun.append(given))
    status, headers = begun[0]
    return status, dict(headers)["X-Config-Version"], b"".join(body).decode()

with settings.override(Settings()) as fake:
    fake.push(Settings(greeting="moin"))
    print(*ask("/"), *ask("/readyz"), sep="\\n")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("logs")
    for name, text in {
        **files(PAGE),
        "libraries.py": LIBRARIES,
        "ask.py": ASK,
        "app.toml": "greeting = 'hello'",
    }.items():
        (made / name).write_text(text, encoding="utf-8")
    return made


def run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, program], cwd=folder, capture_output=True, text=True, timeout=_DEADLINE, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Logging error" not in done.stderr
    return done


def test_the_owner_s_line_is_the_one_that_the_page_shows(folder: Path) -> None:
    (shown,) = (each.text for each in snippets(PAGE) if each.text.startswith('{"timestamp"'))
    lines = [json.loads(line) for line in run("serve.py", folder).stderr.splitlines()]
    (line,) = (line for line in lines if line["config_origin"] == "call")
    names = list(json.loads(shown.replace(", …}", "}")))
    assert list(line)[: len(names)] == names
    for name in ("config_event", "config_result", "config_reason", "config_version", "config_keys"):
        assert json.loads(shown.replace(", …}", "}"))[name] == line[name]


def test_records_have_the_version_that_the_page_shows(folder: Path) -> None:
    (shown,) = (each.text for each in snippets(PAGE) if each.text.startswith("0 before"))
    assert run("versioned.py", folder).stderr == shown


def test_its_libraries_write_fields_and_the_version(folder: Path) -> None:
    ours, sold, structured, by_structlog, last = run("libraries.py", folder).stdout.splitlines()
    assert json.loads(ours)["config_event"] == json.loads(structured)["config_event"] == "owner_lost"
    assert json.loads(ours)["config_version"] == json.loads(structured)["config_version"] == 1
    assert "sold" in sold
    assert json.loads(by_structlog) == {"level": "info", "config_version": 1, "event": "sold"}
    assert last == "INFO 1 by dictConfig"


def test_its_application_says_its_version_and_whether_it_is_ready(folder: Path) -> None:
    (shown,) = (each.text for each in snippets(PAGE) if each.text.startswith('{"ready"'))
    assert run("ask.py", folder).stdout.splitlines() == ["200 OK", "2", "moin", "200 OK", "2", shown.strip()]
