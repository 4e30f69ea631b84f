"""The ahead file under attack: cut at every byte, flipped at every bit, on a disk that is full at every byte."""

from __future__ import annotations

import errno
import logging
import os
import stat
import struct
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from confcast.owner.store import ahead_file
from confcast.owner.store.ahead_file import AheadFile, Entry, whole_entries

ENTRIES = [Entry(7, 1, b"version " + bytes(range(150))), Entry(8, 2, b"event"), Entry(11, 2, b"")]


def encoded(entry: Entry) -> bytes:
    """The format, written down a second time."""
    rest = struct.pack("<IQB", len(entry.body), entry.number, entry.kind) + entry.body
    return struct.pack("<I", zlib.crc32(rest)) + rest


CONTENT = b"".join(map(encoded, ENTRIES))
ENDS = [len(b"".join(map(encoded, ENTRIES[:count]))) for count in range(len(ENTRIES) + 1)]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    (tmp_path / "journal").touch()
    return tmp_path / "journal"


@pytest.fixture
def file(journal: Path):
    with closing(AheadFile(journal, durable=True)) as made:
        yield made


def read(journal: Path) -> list[Entry]:
    """As the next owner reads it, which changes nothing of a whole file."""
    with closing(AheadFile(journal, durable=False)) as following:
        return following.read()


def test_what_was_appended_is_read(file: AheadFile, journal: Path) -> None:
    assert (file.exists, file.read(), Path(file.path).exists()) == (False, [], False)
    for entry in ENTRIES:
        file.append(entry, flush=True)
    assert Path(file.path).read_bytes() == CONTENT
    assert read(journal) == file.read() == ENTRIES


# ---- damage


def test_of_a_file_that_was_cut_at_any_byte_the_whole_entries_are_left() -> None:
    for size in range(len(CONTENT) + 1):
        count = sum(end <= size for end in ENDS) - 1
        assert whole_entries(CONTENT[:size]) == (ENTRIES[:count], ENDS[count]), size


def test_of_a_file_with_any_bit_flipped_the_entries_before_it_are_left() -> None:
    for bit in range(len(CONTENT) * 8):
        content = bytearray(CONTENT)
        content[bit // 8] ^= 1 << bit % 8
        count = sum(end <= bit // 8 for end in ENDS) - 1
        assert whole_entries(bytes(content)) == (ENTRIES[:count], ENDS[count]), bit


@pytest.mark.parametrize("number", [0, 7, 11])
def test_an_entry_whose_number_is_no_higher_was_left_over_from_a_longer_file(number: int) -> None:
    behind = encoded(Entry(number, 1, b"older")) + encoded(Entry(12, 1, b"and what followed it"))
    assert whole_entries(CONTENT + behind) == (ENTRIES, len(CONTENT))


@pytest.mark.parametrize("garbage", [bytes(64), b"\xff" * 64, b"x"], ids=["zeros", "ones", "a byte"])
def test_what_is_no_entry_is_cut_off_and_the_next_entry_follows_the_last_whole_one(
    journal: Path, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    Path(f"{journal}-ahead").write_bytes(CONTENT + garbage)
    with closing(AheadFile(journal, durable=False)) as file:
        assert file.read() == ENTRIES
        assert Path(file.path).read_bytes() == CONTENT
        file.append(Entry(12, 1, b"next"), flush=False)
    assert read(journal) == [*ENTRIES, Entry(12, 1, b"next")]
    assert f"ends with {len(garbage)} bytes that are no whole entry: they are cut off" in caplog.text


# ---- a full disk


class Disk:
    """Fails the calls that it is told to, until it is mended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = 1 << 30
        self.broken: set[str] = set()
        write = os.pwrite

        def pwrite(fd: int, content: bytes, at: int) -> int:
            if self.room == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            done = write(fd, content[: self.room], at)
            self.room -= done
            return done

        monkeypatch.setattr(os, "pwrite", pwrite)
        monkeypatch.setattr(os, "ftruncate", self._failing("cut", os.ftruncate))
        monkeypatch.setattr(ahead_file, "_flush", self._failing("flush", os.fsync))

    def _failing(self, name: str, call: Callable[..., None]) -> Callable[..., None]:
        def called(*arguments: int) -> None:
            if name in self.broken:
                raise OSError(errno.EIO, "Input/output error")
            call(*arguments)

        return called


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_a_disk_that_is_full_at_any_byte_costs_the_entry_that_it_refuses(
    file: AheadFile, journal: Path, disk: Disk
) -> None:
    first, refused, last = ENTRIES
    file.append(first, flush=True)
    for room in range(len(encoded(refused))):
        disk.room = room
        with pytest.raises(OSError, match="No space left"):
            file.append(refused, flush=True)
        assert Path(file.path).read_bytes() == encoded(first)
    disk.room = 1 << 30
    file.append(last, flush=True)
    assert read(journal) == [first, last]


def test_an_entry_that_could_not_be_flushed_is_cut_off(file: AheadFile, journal: Path, disk: Disk) -> None:
    first, refused, last = ENTRIES
    file.append(first, flush=True)
    disk.broken = {"flush"}
    with pytest.raises(OSError, match="Input/output"):
        file.append(refused, flush=True)
    assert Path(file.path).read_bytes() == encoded(first)
    with pytest.raises(OSError, match="Input/output"):  # that it is cut off is not flushed
        file.append(last, flush=False)
    disk.broken.clear()
    file.append(last, flush=False)
    assert read(journal) == [first, last]


def test_nothing_is_written_behind_what_could_not_be_cut_off(file: AheadFile, journal: Path, disk: Disk) -> None:
    first, refused, last = ENTRIES
    file.append(first, flush=True)
    disk.room, disk.broken = 20, {"cut"}
    with pytest.raises(OSError, match="No space left"):
        file.append(refused, flush=True)
    disk.room = 1 << 30
    assert Path(file.path).read_bytes() == encoded(first) + encoded(refused)[:20]
    with pytest.raises(OSError, match="Input/output"):
        file.append(last, flush=True)
    assert read(journal) == [first]
    disk.broken.clear()
    file.append(last, flush=True)
    assert read(journal) == [first, last]


def test_a_tail_that_can_t_be_cut_off_when_it_is_read_is_cut_off_later(journal: Path, disk: Disk) -> None:
    Path(f"{journal}-ahead").write_bytes(CONTENT + b"torn")
    disk.broken = {"cut"}
    with closing(AheadFile(journal, durable=False)) as file:
        assert file.read() == ENTRIES
        disk.broken.clear()
        file.append(Entry(12, 1, b""), flush=False)
    assert Path(f"{journal}-ahead").read_bytes() == CONTENT + encoded(Entry(12, 1, b""))


def test_what_could_not_be_emptied_is_followed_by_higher_numbers(file: AheadFile, journal: Path, disk: Disk) -> None:
    file.append(ENTRIES[0], flush=True)
    disk.broken = {"cut"}
    with pytest.raises(OSError, match="Input/output"):
        file.clear()
    file.append(ENTRIES[1], flush=True)
    assert read(journal) == ENTRIES[:2]


# ---- the file


def test_it_is_for_its_owner_alone_who_is_the_journal_s(journal: Path) -> None:
    path = Path(f"{journal}-ahead")
    other = 65534 if os.geteuid() == 0 else os.geteuid()  # only root may choose
    os.chown(journal, other, -1)
    with closing(AheadFile(journal, durable=False)) as file:
        file.append(ENTRIES[0], flush=False)
        assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_uid) == (0o600, other)
    path.chmod(0o644)
    with closing(AheadFile(journal, durable=False)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("replaced", [False, True])
def test_a_deleted_or_replaced_file_is_noticed_and_another_one_begun(
    file: AheadFile, journal: Path, replaced: bool
) -> None:
    path = Path(file.path)
    assert file.in_place()
    file.append(ENTRIES[0], flush=True)
    assert file.in_place()
    path.unlink()
    if replaced:
        path.write_bytes(encoded(ENTRIES[0]))
    assert not file.in_place()
    file.remove()
    assert path.exists() is replaced  # that is another owner's
    file.renew()
    file.append(ENTRIES[1], flush=True)
    assert file.in_place()
    assert read(journal) == [ENTRIES[1]]


def test_it_is_left_or_removed_and_takes_nothing_more(journal: Path) -> None:
    for removed in (False, True):
        file = AheadFile(journal, durable=False)
        file.read()
        file.append(ENTRIES[0], flush=False)
        if removed:
            file.remove()
        file.close()
        file.close()
        with pytest.raises(OSError, match="closed"):
            file.append(ENTRIES[1], flush=False)
        assert Path(file.path).exists() is not removed


def test_it_has_room_for_so_many_entries_and_bytes(file: AheadFile, monkeypatch: pytest.MonkeyPatch) -> None:
    assert file.has_room_for(bytes(1 << 20))
    assert not file.has_room_for(bytes((1 << 20) + 1))
    monkeypatch.setattr(ahead_file, "_MOST_ENTRIES", 2)
    for number in (1, 2):
        assert file.has_room_for(b"")
        file.append(Entry(number, 1, b""), flush=False)
    assert not file.has_room_for(b"")
    assert not file.has_room_for(bytes(1 << 20))
    file.clear()
    assert file.has_room_for(bytes(1 << 20))


def test_a_path_that_is_no_file_of_ours_is_refused_in_words(journal: Path) -> None:
    Path(f"{journal}-ahead").mkdir()
    with pytest.raises(IsADirectoryError):
        AheadFile(journal, durable=False)


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "confcast.journal")
