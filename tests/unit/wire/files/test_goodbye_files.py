"""The notes of who has left, and of who serves without an owner: which are read, and that no link is followed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from confcast.wire.files import goodbye_files


def test_what_is_no_note_of_ours_is_nobody_s(tmp_path: Path) -> None:
    goodbye_files.make_folder(tmp_path)
    for name in ("left-", "left-x-1", "left-12-34", "left-12", "here-5-6", "left-" + "1" * 70 + "-1", "other"):
        (tmp_path / goodbye_files.FOLDER / name).touch()
    assert goodbye_files.read(tmp_path, "left") == {(12, 34)}
    goodbye_files.clear(tmp_path, "left")
    assert {path.name for path in (tmp_path / goodbye_files.FOLDER).iterdir()} == {"here-5-6", "other"}
    goodbye_files.remove_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []
    goodbye_files.remove_folder(tmp_path)  # nor is it an error that there is none


def test_an_owner_s_note_opens_nothing_that_is_there(tmp_path: Path) -> None:
    """Its folder is its workers': to open a pipe would hold the owner up for good."""
    goodbye_files.make_folder(tmp_path)
    os.mkfifo(tmp_path / goodbye_files.FOLDER / "member-5-6")
    goodbye_files.write_of(tmp_path, (5, 6))
    assert goodbye_files.read(tmp_path, "member") == {(5, 6)}
    for _ in range(2):
        goodbye_files.remove_of(tmp_path, (5, 6))
    assert goodbye_files.read(tmp_path, "member") == set()
    goodbye_files.remove_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        goodbye_files.write_of(tmp_path, (5, 6))


def test_a_link_in_the_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    """Who may write there may be another user, and an owner may be root."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "left-1-2").touch()
    (tmp_path / goodbye_files.FOLDER).symlink_to(elsewhere)
    for do in (lambda: goodbye_files.read(tmp_path, "left"), lambda: goodbye_files.clear(tmp_path, "left")):
        with pytest.raises(OSError):
            do()
    assert (elsewhere / "left-1-2").exists()


def test_no_more_names_are_read_than_some_thousands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(goodbye_files, "_MOST", 3)
    goodbye_files.make_folder(tmp_path)
    for pid in range(1, 9):
        (tmp_path / goodbye_files.FOLDER / f"here-{pid}-1").touch()
    assert len(goodbye_files.read(tmp_path, "here")) == 3
    goodbye_files.remove_folder(tmp_path)
    assert not (tmp_path / goodbye_files.FOLDER).exists()
