"""The snapshot file: whole or absent, private, and silent about what is in it."""

from __future__ import annotations

import os
import resource
import stat
from pathlib import Path

import msgspec
import pytest

from confcast.wire.files import snapshot_file
from confcast.wire.files.snapshot_file import FILE, Saved, load, save
from confcast.wire.messages import PROTOCOL

SCHEMA, DIGEST = b"s" * 16, b"d" * 16


def test_what_is_saved_is_loaded_and_for_its_user_alone(tmp_path: Path) -> None:
    save(tmp_path, SCHEMA, 3, DIGEST, b"payload")

    assert load(tmp_path) == Saved(PROTOCOL, SCHEMA, 3, DIGEST, b"payload")
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_reader_that_has_it_open_keeps_the_version_that_it_began_with(tmp_path: Path) -> None:
    save(tmp_path, SCHEMA, 3, DIGEST, b"x" * 100_000)
    whole = (tmp_path / FILE).read_bytes()
    with (tmp_path / FILE).open("rb") as reader:
        beginning = reader.read(1000)
        save(tmp_path, SCHEMA, 4, DIGEST, b"y" * 100_000)
        assert beginning + reader.read() == whole
    saved = load(tmp_path)
    assert saved is not None
    assert saved.version == 4


@pytest.mark.parametrize("content", [b"", b"\xc1", b"torn", msgspec.msgpack.encode([1, 2])])
def test_what_is_not_whole_is_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)

    assert load(tmp_path) is None


def test_no_prefix_of_it_is_taken_for_a_version(tmp_path: Path) -> None:
    save(tmp_path, SCHEMA, 3, DIGEST, b"payload")
    whole = (tmp_path / FILE).read_bytes()
    for end in range(len(whole)):
        (tmp_path / FILE).write_bytes(whole[:end])
        assert load(tmp_path) is None


def test_there_may_be_none(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    assert load(tmp_path / "missing") is None


def test_a_pipe_a_link_or_a_folder_in_its_place_holds_nobody_up_and_is_none(tmp_path: Path) -> None:
    """Root reads it for `confcast exec` in a folder where another user may put anything."""
    os.mkfifo(tmp_path / FILE)
    assert load(tmp_path) is None

    (tmp_path / FILE).unlink()
    there = tmp_path / "there"
    there.mkdir()
    save(there, b"schema", 1, b"digest", b"payload")
    (tmp_path / FILE).symlink_to(there / FILE)
    assert load(there) is not None
    assert load(tmp_path) is None

    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    before = len([*Path("/dev/fd").iterdir()])
    assert load(tmp_path) is None
    assert len([*Path("/dev/fd").iterdir()]) == before


def test_another_protocol_s_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_file, "PROTOCOL", PROTOCOL + 1)
    save(tmp_path, SCHEMA, 3, DIGEST, b"payload")
    monkeypatch.undo()

    assert load(tmp_path) is None


def test_on_a_full_disk_the_last_one_stays_and_no_half_of_the_next(tmp_path: Path) -> None:
    save(tmp_path, SCHEMA, 3, DIGEST, b"payload")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            save(tmp_path, SCHEMA, 4, DIGEST, b"x" * 20_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert load(tmp_path) == Saved(PROTOCOL, SCHEMA, 3, DIGEST, b"payload")
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
