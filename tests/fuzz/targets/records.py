"""What lies in an engine: heads, reports, summaries, entries; and what commands make of them for a person.

Declared: BadHead and BadReport (`fleet/head.py`, `fleet/reports.py`). What can be read can be shown, and written again.
"""

from __future__ import annotations

import contextlib

import msgspec

from confcast.cli.fleet import history, status
from confcast.cli.report import Report
from confcast.fleet import head, publishing, reports
from confcast.fleet.engines.engine import Stored
from confcast.fleet.head import BadHead
from confcast.fleet.reports import BadReport
from confcast.texts import printable_lines
from tests.fuzz import engines
from tests.unit.fleet.test_records import WHOLE

FORM = "json"
TOKENS = [
    b"stable",
    b"next",
    b"percent",
    b"rings",
    b"salt",
    b"rollout",
    b"stages",
    b"at",
    b"retry",
    b"host",
    b"age",
    b"gateway",
]


def seeds():
    whole = {name: msgspec.json.encode(each) for name, each in WHOLE.items()}
    for name in whole:
        yield b"\n".join([whole["head"], whole[name], whole["summary"], whole["entry"]])


def one(data: bytes) -> None:
    given = data.split(b"\n")
    for each in given:
        with contextlib.suppress(BadHead):
            found = head.decode(each)
            assert head.decode(msgspec.json.encode(found)) == found
            assert head.chosen(found, "host", {"ring": "canary"}) in (found.stable, found.next)
            head.fitting(found)
        with contextlib.suppress(BadReport):
            reports.decode_reports(each, 1.0)
            reports.decode_summary(each)
        with contextlib.suppress(BadReport):
            reports.decode_entry(each)
    made = status.report("key", given[0], [Stored(each, 1.0) for each in given[1:]])
    _is_shown(made)
    _is_shown(history.report(engines.run(publishing.history(Trail(given), 10)), "x"))


class Trail:
    """A store that has these entries."""

    def __init__(self, found: list[bytes]) -> None:
        self._found = found

    async def entries(self, limit: int) -> list[bytes]:
        return self._found


def _is_shown(made: Report) -> None:
    msgspec.json.encode(made.data, enc_hook=str)
    assert printable_lines(made.text) == made.text
