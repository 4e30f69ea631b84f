"""The guide's pages on variables and on secrets in files: what they show is what a reader gets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.snippets import GUIDE, commands, snippets, write_files

_DEADLINE = 60


@pytest.fixture
def environment() -> dict[str, str]:
    """Of a reader, whose `python` is the one that runs this."""
    found = {name: text for name, text in os.environ.items() if not name.upper().startswith("SHOP_")}
    return {**found, "PATH": f"{Path(sys.executable).parent}:{found['PATH']}"}


@pytest.mark.parametrize("page", ["environment.md", "secret_files.md"])
def test_the_page_shows_what_is_loaded(page: str, tmp_path: Path, environment: dict[str, str]) -> None:
    write_files(GUIDE / page, tmp_path)
    found = snippets(GUIDE / page)
    for snippet in found:
        if snippet.language == "dotenv":
            (tmp_path / ".env").write_text(snippet.text)
    script = "set -e\n" + "\n".join(commands(GUIDE / page))
    ran = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, text=True, capture_output=True, timeout=_DEADLINE
    )
    (shown,) = [snippet.text for snippet in found if not snippet.language]
    assert ran.stdout.replace(str(tmp_path), "/srv/shop") == shown, ran.stderr
    assert "hunter2" not in ran.stderr
