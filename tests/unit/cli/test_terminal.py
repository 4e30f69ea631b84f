"""What a terminal gets: the same words, folded to its width, and colours where it has them."""

from __future__ import annotations

import io
import sys

import pytest

from confcast.cli import terminal
from confcast.cli.report import table
from tests.support.terminal import SGR

STATUS = """version  7 of 'app', at /run/confcast/control.sock
sources  refused: version 7 stays in use, because of this:
declined 1 worker keeps an older version, for the reason below: 12
PID  VERSION  STATE    REASON
 11        7  current
 12        6  late     stopped? it is late"""


class Screen(io.StringIO):
    """A terminal, as far as a program can ask."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Screen()


# ---- the width


def test_what_is_no_terminal_has_no_width_and_gets_the_text_as_it_is(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert terminal.columns(io.StringIO()) == terminal.columns(None) == 0
    assert terminal.shown(STATUS, io.StringIO()) == terminal.shown(STATUS, None) == STATUS


def test_a_closed_stream_is_no_terminal():
    stream = io.StringIO()
    stream.close()
    assert terminal.columns(stream) == 0


@pytest.mark.parametrize("told", ["", "0", "-3", "many"])
def test_a_terminal_that_does_not_say_its_width_is_not_folded(told, screen, monkeypatch):
    monkeypatch.setenv("COLUMNS", told)
    assert terminal.columns(screen) == 0
    assert SGR.sub("", terminal.shown(STATUS, screen)) == STATUS


# ---- lines


def test_a_line_is_broken_at_blanks_under_its_label():
    assert terminal.folded("sources  refused: version 7 stays in use, because of this:", 40).split("\n") == [
        "sources  refused: version 7 stays in",
        "         use, because of this:",
    ]
    assert terminal.folded("    two words and some more of them", 20).split("\n") == [
        "    two words and",
        "    some more of",
        "    them",
    ]
    assert terminal.folded("a sentence without a label", 12).split("\n") == ["a sentence", "  without a", "  label"]


def test_a_path_stays_in_one_piece_however_long():
    path = "/run/user/1000/confcast-app-4711-1234567.0123abcd/control-socket-of-it.sock"
    assert terminal.folded(f"version  7 of 'app', at {path}", 40).split("\n")[1].strip() == path


def test_letters_of_two_columns_count_twice():
    assert terminal.cells("abc") == 3
    assert terminal.cells("設定") == 4
    assert terminal.cells("e\u0301") == 1
    assert table(("NAME", "X"), [("設定", "a"), ("long", "b")]) == ["NAME  X", "設定  a", "long  b"]


# ---- tables


def test_a_table_without_room_becomes_a_block_for_each_row(screen, monkeypatch):
    rows = [(11, "current", "", "*"), (12, "late", "a reason that needs more room than this", "")]
    monkeypatch.setattr(sys, "stdout", screen)
    assert table(("PID", "STATE", "REASON", ""), rows) == [
        "PID     11  *",
        "STATE   current",
        "",
        "PID     12",
        "STATE   late",
        "REASON  a reason that needs more room than this",
    ]
    monkeypatch.setenv("COLUMNS", "80")
    assert len(table(("PID", "STATE", "REASON", ""), rows)) == 3


def test_nothing_is_cut_at_any_width(screen, monkeypatch):
    rows = [(number, f"state{number}", " ".join(f"word{number}{each}" for each in range(9))) for number in range(3)]
    words = sorted(str(cell) for row in rows for cell in row for cell in str(cell).split())
    for width in range(20, 120):
        monkeypatch.setenv("COLUMNS", str(width))
        text = terminal.shown("\n".join(table(("PID", "STATE", "REASON"), rows, screen)), screen)
        plain = SGR.sub("", text)
        assert sorted(word for word in plain.split() if word not in ("PID", "STATE", "REASON")) == words
        assert max(map(len, plain.splitlines())) <= width


# ---- colours


def test_colours_change_no_word(screen):
    shown = terminal.shown(STATUS, screen)
    assert SGR.search(shown)
    assert SGR.sub("", shown).split() == STATUS.split()


@pytest.mark.parametrize(
    ("text", "colored"),
    [
        ("success: version 6 -> 7 (3.2 ms)", ["success"]),
        ("rejected: nothing was changed", ["rejected"]),
        ("partial: version 6 -> 7 (3.2 ms)", ["partial"]),
        ("sources  refused: because", ["sources", "refused"]),
        ("PID  VERSION  STATE    REASON", ["PID  VERSION  STATE    REASON"]),
        (" 11        7  current", ["current"]),
        (" 12        6  late     it is late  or not", ["late"]),
        ("  app.toml:1:10: number: success and current", []),
    ],
)
def test_what_is_coloured_is_the_result_a_label_a_header_and_a_state(text, colored, screen, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = terminal.shown(text, screen)
    assert [part.rpartition("m")[2] for part in shown.split("\x1b[0m")[:-1]] == colored


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_there_are_none_where_they_are_not_wanted(variable, value, screen, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv(variable, value)
    assert terminal.shown(STATUS, screen) == STATUS


def test_without_rich_the_words_are_the_same(screen, monkeypatch):
    with_rich = terminal.shown(STATUS, screen)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert terminal.shown(STATUS, screen) == SGR.sub("", with_rich)
