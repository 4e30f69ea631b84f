"""The owner's lines as JSON: each is one object, whatever a record has."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from typing import Any

import pytest

from confcast import json_lines
from confcast.json_lines import JsonLines
from confcast.log_fields import about
from confcast.texts import Lines


class Untellable:
    def __str__(self) -> str:
        raise RuntimeError


def record(text: str, *args: object, **more: Any) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "confcast.owner", "levelname": "WARNING", "msg": text, "args": args})
    made.created = 1_764_500_000.25
    made.__dict__.update(more)
    return made


def line(*args: Any, **more: Any) -> dict[str, Any]:
    text = JsonLines("app").format(record(*args, **more))
    assert "\n" not in text
    assert text.isascii() or "\u202e" not in text
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def test_a_line_has_the_text_and_the_fields():
    assert line("watch: %s", "success", **about("reload_applied", version=2, keys=["a"])) == {
        "timestamp": "2025-11-30T10:53:20.250Z",
        "level": "warning",
        "logger": "confcast.owner",
        "pid": record("").process,
        "message": "watch: success",
        "config_name": "app",
        "config_event": "reload_applied",
        "config_version": 2,
        "config_keys": ["a"],
    }


def test_texts_of_several_lines_and_tracebacks_are_one_line():
    assert line("broke\n%s", Lines("a\nb"))["message"] == "broke\na\nb"
    try:
        raise ValueError("\x1b[2Jcleared")
    except ValueError:
        found = line("broke", exc_info=sys.exc_info())
    assert found["exception"].splitlines()[0] == "Traceback (most recent call last):"
    assert found["exception"].endswith("ValueError: \x1b[2Jcleared")
    assert "\x1b" not in JsonLines("app").format(record("\x1b[2J"))


@pytest.mark.parametrize(
    "strange", ["\ud800", 1 << 80, Untellable(), float("nan"), b"\xff", {1, 2}, {(1, 2): 3}, "\u202e", lambda: 0]
)
def test_whatever_a_library_logs_is_one_object(strange: object):
    found = line("strange", extra_of_a_library=strange)
    assert found["message"] == "strange"
    assert "extra_of_a_library" in found


def test_a_field_of_a_library_replaces_none_of_ours():
    found = line("kept", timestamp="x", level="x", config_name="x")
    assert (found["level"], found["message"], found["config_name"]) == ("warning", "kept", "app")


def test_a_version_that_nothing_has_here_is_left_out():
    """`stamp_records()` in the schema's module, which the owner imports, too."""
    assert "config_version" not in line("stamped", config_version=0)
    assert line("of a version", config_version=1)["config_version"] == 1


def test_python_s_warnings_are_lines_too(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    json_lines.of_warnings()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(False)
            logging.captureWarnings(True)
            warnings.warn("old", DeprecationWarning, stacklevel=1)
    finally:
        logging.captureWarnings(False)
    (found,) = caplog.records
    assert found.name == "py.warnings"
    assert found.getMessage().endswith("DeprecationWarning: old")
    assert "\n" not in found.getMessage()
