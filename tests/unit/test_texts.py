"""Whatever a file, a name or a peer holds: what is said is one line of a log, and a terminal stays as it is."""

from __future__ import annotations

import ast
import json
import logging
import re
import unicodedata

import pytest

from confcast.cli.report import as_json, line, table
from confcast.errors import ConfcastError, ConfigError, Problem, ProtocolError
from confcast.owner.loop.event_log import log_event
from confcast.texts import LOGGERS, Lines, printable, printable_lines
from confcast.wire.messages import Change, Reload, ReloadEvent, ReloadResult, decode_to_owner, encode
from tests.shape.source import files

FORGED = "\x1b[2J\n2026-01-01 00:00:00,000 [1] [INFO] confcast app: a line that nobody wrote"
HARMFUL = [
    *map(chr, [*range(0x20), *range(0x7F, 0xA0)]),
    *"\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\udcff",
]
HARMLESS = "plain, é, ñ, 日本語, a\u00a0space, \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645, 👩\u200d💻"


@pytest.mark.parametrize("character", HARMFUL, ids=lambda character: f"U+{ord(character):04X}")
def test_what_can_not_be_printed_is_escaped_wherever_a_text_goes(character: str, caplog: pytest.LogCaptureFixture):
    bad = f"a{character}b"
    problem = Problem(bad, bad, bad)
    logging.getLogger("confcast.owner").error("%s and %(x)s".replace("%(x)s", "%d"), bad, 1)
    shown = [printable(bad), line(bad), problem.key, problem.message, problem.location, caplog.messages[0]]
    shown += [str(ConfigError([problem])), table(("A",), [(bad,)])[1], line(Change(bad, bad, bad))]
    for text in shown:
        assert character not in text
        assert text.isprintable()
    document = as_json({bad: bad})
    assert set(document) & {*HARMFUL} <= {"\n"}
    if character != "\udcff":
        assert printable(bad) in json.loads(document)
        assert json.loads(document)[printable(bad)] == bad


TURNS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def test_every_control_bidi_and_separating_character_is_among_them():
    for code in range(0x10000):
        kind = unicodedata.category(chr(code)), unicodedata.bidirectional(chr(code))
        if kind[0] in ("Cc", "Zl", "Zp", "Cs") or kind[1] in TURNS:
            assert printable(chr(code)) != chr(code)


def test_other_texts_stay_as_they_are():
    assert printable(HARMLESS) == Problem("", HARMLESS).message == HARMLESS
    assert line("a\\nb") == "a\\nb"


def test_lines_that_are_meant_stay_lines(caplog: pytest.LogCaptureFixture):
    log = logging.getLogger("confcast.owner")
    log.error("why: %s", ConfigError([Problem("a", "one\ntwo"), Problem("b", "three")]))
    log.error("trace\n%s", Lines(f"ValueError: {FORGED}\nend\x1b"))
    assert caplog.messages[0] == "why: a: one\\ntwo\nb: three"
    assert caplog.messages[1].splitlines()[1:] == [
        "ValueError: \\x1b[2J",
        "  2026-01-01 00:00:00,000 [1] [INFO] confcast app: a line that nobody wrote",
        "  end\\x1b",
    ]
    assert printable_lines("a\n\x1bb") == "a\n\\x1bb"


def test_an_error_s_text_and_a_traceback_s_are_escaped_line_by_line(caplog: pytest.LogCaptureFixture):
    assert (
        str(ConfcastError("no owner at /tmp/\x1b[2J\u202e:\n  a list")) == "no owner at /tmp/\\x1b[2J\\u202e:\n  a list"
    )
    try:
        raise ValueError("\x9b2J")
    except ValueError:
        logging.getLogger("confcast.worker").exception("an observer raised")
    assert "ValueError: \\x9b2J" in caplog.text
    assert "\x9b" not in caplog.text


def test_no_line_of_an_exception_s_text_begins_a_line_of_the_log(caplog: pytest.LogCaptureFixture):
    try:
        raise ValueError("told\n2026-01-01 00:00:00,000 [1] [CRITICAL] a line that nobody wrote")
    except ValueError:
        logging.getLogger("confcast.worker").exception("an observer raised")
    first, *others = logging.Formatter().format(caplog.records[0]).splitlines()
    assert first == "an observer raised"
    assert others
    assert all(line.startswith("  ") for line in others)
    assert others[-1].endswith("a line that nobody wrote")


def test_an_argument_that_has_no_text_is_left_to_logging(caplog: pytest.LogCaptureFixture):
    """Which reports it where it reports all such faults, and lets the caller go on."""

    class Mute:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    record = logging.makeLogRecord({"msg": "of %s", "args": (Mute(),)})
    assert all(filtering(record) for filtering in logging.getLogger("confcast.worker").filters)  # type: ignore[operator]
    assert isinstance(record.args, tuple)
    assert isinstance(record.args[0], Mute)


def test_an_application_s_record_keeps_its_values(caplog: pytest.LogCaptureFixture):
    path = object()
    logging.getLogger("confcast.owner").error("%s %d %.1f %r", "text", 7, 0.5, path)
    assert caplog.records[0].args == ("text", 7, 0.5, path)


def test_an_event_is_one_line_in_the_log_whatever_its_keys_are(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    log_event(ReloadEvent(timestamp=1.0, result=ReloadResult.SUCCESS, version=2, changes=[Change(f"d.{FORGED}", 1, 2)]))
    (message,) = caplog.messages
    assert message.isprintable()


@pytest.mark.parametrize(
    "origin", [FORGED, "start", "reissue", "late", "watch", "restart", "", "it's mine", "'\"", '"', "'", "a' - at `$`"]
)
def test_nobody_asks_for_what_an_owner_does_on_its_own_account(origin: str):
    with pytest.raises(ProtocolError, match="Invalid enum value") as caught:
        decode_to_owner(encode(Reload(1, origin)))  # type: ignore[arg-type]
    assert str(caught.value) == "not a message to the owner: Invalid enum value - at `$[2]`", "it has not what was said"
    assert decode_to_owner(encode(Reload(1, "command"))) == Reload(1, "command")


def test_every_logger_of_ours_escapes():
    """By its name: a filter on a logger is not asked about the records of those below it."""
    made = set()
    for file in files():
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("getLogger") and node.args:
                made.add(ast.literal_eval(node.args[0]) if isinstance(node.args[0], ast.Constant) else "")
    ours = {name for name in made if re.match(r"confcast\.(?!examples)", name)}
    assert ours == set(LOGGERS)
