"""Scenarios of the protocol as a person reads them: each file in `transcripts/` is input and expected output in one.

    REWRITE=1 pytest tests/core/test_transcripts.py

writes what the commands give now into the files; read the difference before you commit it. The commands are those of
`transcript.py`. The form is that of the tests of etcd's raft (`testdata/*.txt`, v3.6).
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest

from tests.core.transcript import COMMANDS, MARK, Transcript

FOLDER = Path(__file__).with_name("transcripts")
FILES = sorted(FOLDER.glob("*.txt"))
HOW = "REWRITE=1 pytest tests/core/test_transcripts.py"


def check(file: Path, *, rewrite: bool) -> None:
    """Run the file's commands. Fails with the difference, or writes it."""
    text = file.read_text(encoding="utf-8")
    now = Transcript().run(text)
    if rewrite:
        file.write_text(now, encoding="utf-8")
    elif now != text:
        diff = difflib.unified_diff(text.splitlines(), now.splitlines(), f"{file.name}, expected", "now", lineterm="")
        pytest.fail("\n".join([*diff, "", f"If this is as it should be: {HOW}"]), pytrace=False)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_transcript(file: Path):
    check(file, rewrite=bool(os.environ.get("REWRITE")))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_its_head_says_what_it_shows_and_how_it_is_rewritten(file: Path):
    lines = file.read_text(encoding="utf-8").split("\n")
    head = lines[: lines.index("")]
    assert len(head) > 1
    assert all(line.startswith("# ") for line in head)
    assert head[-1] == f"# Rewritten by: {HOW}"


def test_every_command_is_used_and_explained():
    used = {line.split()[0] for file in FILES for line in file.read_text(encoding="utf-8").split("\n") if line.strip()}
    assert set(COMMANDS) - used == set()
    assert [name for name, command in COMMANDS.items() if not command.__doc__] == []


def test_a_failing_transcript_shows_the_difference_and_the_flag(tmp_path: Path):
    file = tmp_path / "wrong.txt"
    file.write_text(f"# Wrong.\n\nstate\n{MARK}\nowner IDLE\n\n", encoding="utf-8")
    with pytest.raises(pytest.fail.Exception) as failure:
        check(file, rewrite=False)
    lines = str(failure.value).split("\n")
    assert "-owner IDLE" in lines
    assert "+no owner" in lines
    assert lines[-1].endswith(HOW)
    check(file, rewrite=True)
    check(file, rewrite=False)
