"""The guide's page of worked examples: each command as it is printed there, until what Ctrl-C does."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from confcast.wire.listener import SOCKET
from confcast.worker.client.connection_per_call import AddressClient
from tests.support.settings_page import PATIENCE, STARTS_WITHIN, Browser
from tests.support.snippets import GUIDE, commands, files, imported_from
from tests.support.waiting import DEADLINE, eventually

PAGE = GUIDE / "worked_examples.md"


@contextmanager
def run(command: str, place: Path, log: Path, until: str) -> Iterator[str]:
    """What the command prints, once that has this in it. Then it is ended, and has left nothing at its place."""
    environment = os.environ | {"TMPDIR": str(place), "CONFCAST_RUNTIME_DIR": str(place), "SHOP_PATIENCE": PATIENCE}
    program, *arguments = shlex.split(command)
    assert program == "python"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        eventually(lambda: until in log.read_text() or process.poll() is not None, until, STARTS_WITHIN)
        assert until in log.read_text(), log.read_text()
        yield log.read_text()
    finally:
        process.terminate()
        status = process.wait(DEADLINE)
    assert (status, list(place.iterdir())) == (0, []), log.read_text()


def test_the_settings_page_saves_as_the_page_says(
    tmp_path: Path, runtime_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = next(each for each in commands(PAGE) if "settings_page" in each)
    for name, text in files(PAGE).items():
        (tmp_path / name).write_text(text)
    with run(command, runtime_folder, tmp_path / "log", "Ctrl-C ends it") as said:
        url = re.findall(r"The shop: (\S+)/\n", said)[0]
        browser = Browser(url)
        assert browser.sign_in(Path(re.findall(r"cat (\S+)   # day", said)[0]).read_text()).status == 200
        assert browser.save(greeting="Hello").title == "Saved: version 2 runs in every worker (3)"
        (address,) = runtime_folder.glob(f"*/{SOCKET}")
        with imported_from(tmp_path):
            import saving_in_short  # type: ignore[import-not-found]

            monkeypatch.setattr(saving_in_short, "settings", AddressClient(str(address), "shop"))
            assert saving_in_short.save({"greeting": "Moin"}, 2, "day") == "saved in every worker"
            assert saving_in_short.save({"greeting": "Servus"}, 2, "night") == "conflict"
        assert browser.ask("/settings").fields["greeting"] == "Moin"
