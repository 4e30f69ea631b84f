"""The last content of a server on disk: whole or not at all, private, bounded, and nowhere but where it is told."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast.config.sources import last_known
from confcast.config.sources.last_known import Kept, find, keep_in, save

KEPT = Kept("http://h/app.toml?key=hunter2", "toml", b"number = 1", '"tag"', "", 12.5)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    keep_in(tmp_path)
    yield tmp_path
    keep_in(None)


def test_what_was_saved_is_found_by_its_name(folder: Path) -> None:
    save(KEPT, "h")
    assert find(KEPT.name, "h") == KEPT
    assert find("http://h/other.toml", "h") is None
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "hunter2" not in repr(KEPT) + file.name
    assert last_known.outlives_a_stop()
    keep_in(folder, outlives=False)
    assert not last_known.outlives_a_stop()


def test_without_a_folder_nothing_is_kept(tmp_path: Path) -> None:
    keep_in(None)
    save(KEPT, "h")
    assert find(KEPT.name, "h") is None
    assert not last_known.outlives_a_stop()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "another", "no document"])
def test_a_damaged_file_is_none_and_said(folder: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    save(KEPT, "h")
    (file,) = folder.iterdir()
    content = bytearray(file.read_bytes())
    if damage == "another":
        save(Kept("other", "toml", b"number = 2", "", "", 1.0), "o")
        content = bytearray(next(each for each in folder.iterdir() if each != file).read_bytes())
    elif damage == "no document":
        content = bytearray(last_known.fingerprint_of(b"\xc1") + b"\xc1")
    elif damage == "flipped":
        content[-1] ^= 1
    file.write_bytes(b"" if damage == "empty" else content[:-1] if damage == "cut" else content)
    assert find(KEPT.name, "shown") is find(KEPT.name, "shown") is None
    assert [each.getMessage() for each in caplog.records] == [
        f"{file} is damaged, so what shown gave last is not known"
    ]


def test_a_folder_that_can_t_be_written_is_said_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    keep_in(folder / "missing")
    for _ in range(2):
        save(KEPT, "shown")
    assert [(each.levelno, each.getMessage()) for each in caplog.records] == [
        (
            logging.WARNING,
            (
                f"what shown gave can't be kept in {folder / 'missing'}, so no server starts on it while that is not "
                "reached: No such file or directory"
            ),
        )
    ]


def test_a_file_that_can_t_be_read_is_said(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(KEPT, "h")
    (file,) = folder.iterdir()
    file.unlink()
    file.mkdir()
    assert find(KEPT.name, "shown") is None
    assert "can't be read, so what shown gave last is not known: Is a directory" in caplog.text


def test_the_oldest_are_deleted(folder: Path) -> None:
    for number in range(70):
        save(Kept(str(number), "toml", b"", "", "", 1.0), "h")
        path = folder / last_known._file(str(number))
        os.utime(path, (number + 1e9, number + 1e9))
    assert len(list(folder.iterdir())) == 64
    assert find("0", "h") is None
    assert find("69", "h") is not None
