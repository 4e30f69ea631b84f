"""Where what an owner prints and logs goes: a daemon has closed its standard error, and writes a log of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from confcast import ConfigLoader
from confcast.master.embedded import EmbeddedManager
from tests.support.programs import ROOT
from tests.support.settings import SCHEMA, Settings, write
from tests.support.slow import slow
from tests.support.waiting import DEADLINE, eventually


@pytest.fixture
def unstarted(config: Path) -> EmbeddedManager[Settings]:
    """Its owner restarts when the test says so."""
    return EmbeddedManager(ConfigLoader(SCHEMA, config), watch=False, supervise="caller")


def test_it_goes_where_the_server_module_says(
    unstarted: EmbeddedManager[Settings], config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "error.log"
    with log.open("ab") as file:
        unstarted.send_output_to(file.fileno)
        with unstarted as manager:
            write(config, 2)
            assert manager.reload()
            eventually(lambda: "number" in log.read_text(), "the owner's line about the change")

    assert "confcast app" in log.read_text()
    assert "confcast app" not in capfd.readouterr().err


def test_the_next_owner_s_goes_to_the_log_that_is_open_by_then(
    unstarted: EmbeddedManager[Settings], config: Path, tmp_path: Path
) -> None:
    logs = [(tmp_path / name).open("ab") for name in ("error.log", "rotated.log")]
    unstarted.send_output_to(lambda: logs[0].fileno())
    with unstarted as manager:
        logs.pop(0).close()
        os.kill(manager.owner_pid, signal.SIGKILL)
        write(config, 2)
        assert manager.reload()
        eventually(lambda: "number" in (tmp_path / "rotated.log").read_text(), "a line of the next owner")
    logs.pop().close()


def test_a_log_that_is_closed_is_no_reason_to_have_no_owner(
    unstarted: EmbeddedManager[Settings], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (tmp_path / "error.log").open("ab") as file:
        unstarted.send_output_to(file.fileno)

    with unstarted as manager:
        assert manager.version == 1

    assert [record.message for record in caplog.records if "what the config owner logs is lost" in record.message]


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", slow("2>&-")], ids=["any", "standard error"])
def test_a_master_without_standard_streams_has_an_owner_that_receives_its_messages(
    closed: str, config: Path, tmp_path: Path
) -> None:
    """The channel must not lie where a child's standard streams are put; what owners log would be said on it."""
    program = (
        "import sys; from confcast import *\n"
        "from confcast.master.start import launch; launch._EXIT_TIMEOUT = 600  # until it is killed\n"
        "with ConfigReloadManager(ConfigLoader(sys.argv[1], sys.argv[2])) as manager:\n"
        "    open(sys.argv[3], 'w').write(str(manager.version))\n"
    )
    answer = tmp_path / "answer"
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", program, SCHEMA, str(config), str(answer)]

    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])

    subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, timeout=DEADLINE, check=True)

    assert answer.read_text() == "1"


PRINTS = """
import logging, warnings
from pydantic import BaseModel

class Settings(BaseModel):
    number: int

logging.getLogger("theirs").warning("several\\nlines", extra={"their_field": 7})
warnings.warn("old")
"""


def test_an_owner_logs_json_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "json_logs.py").write_text(PRINTS)
    monkeypatch.syspath_prepend(tmp_path)
    config = tmp_path / "app.toml"
    config.write_text("number = 1")
    with EmbeddedManager(ConfigLoader("json_logs:Settings", config), watch=False, log_format="json") as manager:
        config.write_text("number = 2")
        assert manager.reload(reason="tried")
        config.write_text("number = 'x'")
        assert not manager.reload()
        for _ in range(3):
            assert not manager.reload(), "asked for again, and logged again"
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]

    assert {line["config_name"] for line in lines} == {"app"}
    assert {line["pid"] for line in lines} == {lines[0]["pid"]} != {os.getpid()}
    (theirs,) = (line for line in lines if line["logger"] == "theirs")
    assert (theirs["message"], theirs["their_field"]) == ("several\nlines", 7)
    assert any(line["message"].endswith("UserWarning: old") for line in lines)
    applied = next(line for line in lines if line.get("config_reason") == "tried")
    assert applied["message"].startswith("call: success, version 2 in ")
    assert {name: applied[f"config_{name}"] for name in ("event", "result", "version", "previous_version", "keys")} == {
        "event": "reload_applied",
        "result": "success",
        "version": 2,
        "previous_version": 1,
        "keys": ["number"],
    }
    assert applied["config_who"]["pid"] == os.getpid()
    assert applied["config_duration_ms"] >= applied["config_load_ms"] > 0
    refused = [line for line in lines if line.get("config_event") == "reload_refused"]
    problems = [line for line in lines if line.get("config_event") == "reload_problem"]
    assert len(refused) == len(problems) == 4
    assert (problems[0]["level"], problems[0]["config_key"]) == ("error", "number")
    assert problems[0]["config_location"] == f"{config}:1:10"
    assert problems[0]["message"].endswith(problems[0]["config_message"])


CONFIGURES_LOGGING = """
import logging.config
from pydantic import BaseModel

class Settings(BaseModel):
    number: int

logging.config.dictConfig({
    "version": 1,
    "root": {"level": "CRITICAL", "handlers": ["file"]},
    "handlers": {"file": {"class": "logging.FileHandler", "filename": FILE}},
})
"""


@pytest.mark.parametrize("level", ["debug", slow("info"), slow("error")])
def test_an_owner_logs_from_its_log_level_on_also_where_the_schemas_module_configures_logging(
    level: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the module's handlers then. Django's settings do this, and dictConfig disables what it does not name."""
    log, config, module = tmp_path / "app.log", tmp_path / "app.toml", f"logs_at_{level}"
    (tmp_path / f"{module}.py").write_text(CONFIGURES_LOGGING.replace("FILE", repr(str(log))))
    monkeypatch.syspath_prepend(tmp_path)
    config.write_text("number = 1")
    loader = ConfigLoader(f"{module}:Settings", config)
    with EmbeddedManager(loader, watch=False, log_level=level) as manager:
        config.write_text("number = 'x'")
        assert not manager.reload()
        eventually(lambda: "refused (validation_failed)" in log.read_text(), "the owner's line about the refusal")
    assert ("start: success" in log.read_text()) is (level != "error")
    assert ("LOADING: LoadFailed" in log.read_text()) is (level == "debug"), "the core's transitions"
