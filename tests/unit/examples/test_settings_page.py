"""What the command of the example with the settings page prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcast.examples.settings_page import __main__ as command
from confcast.examples.settings_page import demo_folder


def test_the_files_of_the_tokens_can_be_read_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command goes on in its terminal, so they are read in another one."""
    monkeypatch.chdir(tmp_path)
    demo_folder.fill(Path("shop"))
    command._greet(Path("shop"), "http://127.0.0.1:1")
    shown = [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("  cat ")]
    assert sorted(shown) == sorted(map(str, (tmp_path / "shop" / "secrets").glob("administrators__*")))
    assert shown
