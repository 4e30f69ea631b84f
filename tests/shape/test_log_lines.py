"""Every line that the package logs has its fields, and its event stands in the guide's table."""

from __future__ import annotations

import ast
import logging

from confcast.texts import LOGGERS
from tests.shape import log_lines
from tests.shape.source import ROOT, files

PAGE = ROOT / "src" / "confcast" / "guide" / "logs.md"


def test_each_line_names_its_event():
    found = [line.place for line in log_lines.lines() if not line.event]
    assert not found, "\n".join(["extra=about(…) is missing:", *found])


def test_no_line_is_overlooked():
    """All calls of loggers stand in functions, where the other tests look for them."""
    package = [file for file in files() if not str(file).startswith("examples/")]
    calls = [
        n for file in package for n in ast.walk(file.tree) if isinstance(n, ast.Call) and log_lines.is_of_a_logger(n)
    ]
    assert len(calls) == len(log_lines.lines()) > 200


def test_each_event_has_its_row_in_the_guide():
    listed = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    table = [line for line in listed if line.count(" | ") == 4]
    found = [row for row in log_lines.rows() if row not in table]
    assert not found, "\n".join([f"missing in {PAGE}:", *found])
    assert table == log_lines.rows(), "in their order, and no others"


def test_each_logger_is_in_the_guide_once():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    table = [line.split("`")[1] for line in lines if line.startswith("| `confcast.")]
    assert sorted(table) == sorted(LOGGERS)


def test_no_field_is_an_attribute_of_every_record():
    own = logging.makeLogRecord({}).__dict__.keys() | {"message", "asctime"}
    assert not {f"config_{field}" for line in log_lines.lines() for field in line.fields} & own
