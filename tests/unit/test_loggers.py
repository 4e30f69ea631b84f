"""A program's logging configuration switches our loggers off where it names them, and only there.

In programs of their own: such a configuration takes the handlers of pytest's away, too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from confcast.texts import LOGGERS

ROOT = {"version": 1, "root": {"handlers": ["to"]}, "handlers": {"to": {"class": "logging.StreamHandler"}}}
SPEAK = """
import json, logging, logging.config, sys
import confcast.texts
for name in confcast.texts.LOGGERS:
    assert type(logging.getLogger(name)).__name__ == "Logger"
for configuration in json.loads(sys.argv[1]):
    logging.config.dictConfig(configuration)
exec(sys.argv[2])
for name in ("confcast", *confcast.texts.LOGGERS):
    logging.getLogger(name).error("said by %s", name)
"""


def those_that_log(*configurations: dict, before: str = "") -> set[str]:
    command = [sys.executable, "-c", SPEAK, json.dumps(configurations), before]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return {line.removeprefix("said by ") for line in run.stderr.splitlines() if line.startswith("said by ")}


def test_what_is_not_named_still_logs():
    """`disable_existing_loggers` is true by default."""
    assert those_that_log(ROOT) == set(LOGGERS) | {"confcast"}
    assert those_that_log({**ROOT, "disable_existing_loggers": True}, ROOT) >= set(LOGGERS)
    assert those_that_log({**ROOT, "loggers": {"app": {"level": "INFO"}}}) >= set(LOGGERS)


@pytest.mark.parametrize(
    ("named", "silent"),
    [
        ({"confcast": {"level": "CRITICAL"}}, set(LOGGERS)),
        ({"confcast": {"propagate": False, "handlers": []}}, set(LOGGERS)),
        ({"confcast.observers": {"level": "CRITICAL"}}, {"confcast.observers"}),
        ({"confcast.observers": {"propagate": False}}, {"confcast.observers"}),
    ],
    ids=["all by level", "all by handlers", "one by level", "one by handlers"],
)
def test_what_is_named_is_configured_as_it_says(named: dict, silent: set[str]):
    """One that no handler takes may still reach logging's last resort: an error does."""
    quiet = {"version": 1, "handlers": {"none": {"class": "logging.NullHandler"}}}
    loggers = {name: {**told, "handlers": ["none"]} for name, told in named.items()}
    logging_now = those_that_log({**ROOT, "handlers": {**ROOT["handlers"], **quiet["handlers"]}, "loggers": loggers})
    assert set(LOGGERS) - logging_now == silent


def test_who_disables_one_is_obeyed():
    logging_now = those_that_log(ROOT, before="logging.getLogger('confcast.observers').disabled = True")
    assert set(LOGGERS) - logging_now == {"confcast.observers"}
    again = "l = logging.getLogger('confcast.observers'); l.disabled = True; l.disabled = False"
    assert those_that_log(ROOT, before=again) >= set(LOGGERS)


def test_a_configuration_file_does_not_either(tmp_path: Path):
    ini = "[loggers]\nkeys=root\n[handlers]\nkeys=to\n[formatters]\nkeys=\n[logger_root]\nhandlers=to\n"
    (tmp_path / "logging.ini").write_text(ini + "[handler_to]\nclass=StreamHandler\nargs=(sys.stderr,)\n")
    logging_now = those_that_log(before=f"logging.config.fileConfig({str(tmp_path / 'logging.ini')!r})")
    assert logging_now >= set(LOGGERS)


def test_a_class_of_the_programs_own_stays():
    program = (
        "import logging\n"
        "class Own(logging.Logger):\n    pass\n"
        "logging.setLoggerClass(Own)\n"
        "import confcast.texts\n"
        "from confcast.texts import keep_enabled\n"
        "logger = logging.getLogger('confcast.observers')\n"
        "once = type(logger); keep_enabled(logger)\n"
        "assert isinstance(logger, Own) and type(logger) is once and once.__name__ == 'Own'\n"
    )
    subprocess.run([sys.executable, "-c", program], timeout=30, check=True)
