"""The fields of our log lines: plain data, whatever is given, and no line ends in an error since a name is taken."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from confcast.log_fields import about
from confcast.wire.messages import ReloadResult

LOGGER = logging.getLogger("confcast.worker")


class Untellable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def test_fields_are_plain_data_of_printable_texts():
    told = about(
        "it_broke",
        error=ValueError("two\nlines"),
        result=ReloadResult.PARTIAL,
        path=Path("/srv/\u202eapp"),
        who={"uid": 1, "command": "a\tb"},
        keys=("a", Path("b")),
        good=True,
        seconds=0.0,
    )
    assert told == {
        "config_event": "it_broke",
        "config_error": "two\\nlines",
        "config_result": "partial",
        "config_path": "/srv/\\u202eapp",
        "config_who": {"uid": 1, "command": "a\\tb"},
        "config_keys": ["a", "b"],
        "config_good": True,
        "config_seconds": 0.0,
    }
    assert json.loads(json.dumps(told)) == told
    assert type(told["config_result"]) is str


def test_what_is_not_there_is_left_out():
    assert about("it_broke", reason="", who=None, keys=[], lagging={}, version=0, error=Untellable()) == {
        "config_event": "it_broke",
        "config_version": 0,
        "config_error": "Untellable",
    }


def test_a_name_that_an_application_s_records_have_is_no_error(caplog: pytest.LogCaptureFixture):
    former = logging.getLogRecordFactory()

    def factory(*args: object, **kwargs: object) -> logging.LogRecord:
        record = former(*args, **kwargs)
        record.config_version = "the application's"
        return record

    logging.setLogRecordFactory(factory)
    try:
        LOGGER.warning("version %d", 7, extra=about("it_broke", version=7))
        LOGGER.warning("no version", extra=about("it_broke"))
        with pytest.raises(KeyError):  # what logging itself does
            logging.getLogger("other").warning("", extra={"config_version": 1})
    finally:
        logging.setLogRecordFactory(former)
    assert [(each.config_version, each.config_event) for each in caplog.records] == [  # type: ignore[attr-defined]
        (7, "it_broke"),
        ("the application's", "it_broke"),
    ]
