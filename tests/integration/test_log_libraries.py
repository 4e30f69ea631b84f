"""What structlog and python-json-logger write of our lines in a master and a worker: the text, and the fields."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_DEADLINE = 60

SETTINGS = """\
import confcast.logging
from pydantic import BaseModel
from confcast import Replica

class Settings(BaseModel, frozen=True):
    number: int

settings = Replica(Settings)
confcast.logging.stamp_records(settings)
"""

PROGRAM = """\
import logging, os, signal, threading
import confcast.logging, structlog
from pythonjsonlogger.json import JsonFormatter
from confcast import ConfigLoader, ConfigReloadManager

structured = logging.StreamHandler(open("structlog.jsonl", "w"))
structured.setFormatter(structlog.stdlib.ProcessorFormatter(
    foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.ExtraAdder()],
    processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
))
plain = logging.StreamHandler(open("python_json_logger.jsonl", "w"))
plain.setFormatter(JsonFormatter("%(levelname)s %(message)s"))
logging.basicConfig(handlers=[structured, plain], level="INFO")

def add_config_version(logger, method, event_dict):
    return {**event_dict, "config_version": confcast.logging.config_version()}

structlog.configure(
    processors=[
        structlog.stdlib.add_log_level,
        add_config_version,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
)

def observer(old, new):
    if new.number == 2:
        raise ValueError("no room")

if __name__ == "__main__":
    from settings import settings
    with ConfigReloadManager(ConfigLoader("settings:Settings", "app.toml"), watch=False) as manager:
        settings.attach()
        settings.subscribe(observer)
        with settings.pin():
            open("app.toml", "w").write("number = 2")
            assert settings.reload(wait_observers=10)
            logging.getLogger("shop").info("sold", extra={"item": 7})
            structlog.get_logger("shop").info("sold", item=8)
        os.kill(manager.owner_pid, signal.SIGKILL)
        while not settings.reload(timeout=30):  # until the next owner answers
            threading.Event().wait(0.01)
        settings.close()
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("libraries")
    for name, text in {"settings.py": SETTINGS, "program.py": PROGRAM, "app.toml": "number = 1"}.items():
        (folder / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=folder, capture_output=True, text=True, timeout=_DEADLINE, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Logging error" not in done.stderr
    return folder


@pytest.mark.parametrize(("library", "text"), [("structlog", "event"), ("python_json_logger", "message")])
def test_lines_have_their_text_and_their_fields(library: str, text: str, written: Path):
    lines: list[dict[str, Any]] = [json.loads(line) for line in (written / f"{library}.jsonl").read_text().splitlines()]
    by_event = {line["config_event"]: line for line in lines if "config_event" in line}

    raised = by_event["observer_raised"]
    assert raised[text].startswith("observer ")
    assert raised[text].split(";")[0].endswith("raised")
    assert (raised["config_error"], raised["config_observer"]) == ("ValueError: no room", "observer")
    assert raised["config_version"] == 2, "that of the worker"
    died = by_event["owner_died"]
    assert died[text].startswith(f"the config owner {died['config_pid']} of 'app' is dead")
    assert died["config_name"] == "app"

    sold = [line for line in lines if line[text] == "sold" and line.get("item") == 7]
    assert [line["config_version"] for line in sold] == [1], "that of the request"
    ours = [line for line in lines if line.get("item") == 8]
    if library == "structlog":
        assert [(line["event"], line["config_version"]) for line in ours] == [("sold", 1)]
