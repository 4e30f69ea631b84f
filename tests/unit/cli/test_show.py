"""`confcast show KEY`: the value alone, for a script and for a person at a terminal."""

from __future__ import annotations

import io

import pytest

from confcast.cli.show import report

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\tœ\n-----END CERTIFICATE-----"


class Terminal(io.StringIO):
    """Standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_script_gets_a_text_as_it_is() -> None:
    assert report("tls.certificate", [("tls.certificate", CERTIFICATE)]).text == CERTIFICATE


def test_a_terminal_gets_no_control_character_of_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", Terminal())
    assert report("greeting", [("greeting", "a\nb\x1b[31mc")]).text == r"a\nb\x1b[31mc"


def test_texts_beside_others_are_on_one_line_each() -> None:
    found = report("tls", [("tls.certificate", "a\nb"), ("tls.port", 443)])
    assert found.text == "tls.certificate = 'a\\nb'\ntls.port = 443"
