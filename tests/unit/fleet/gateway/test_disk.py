"""A gateway's copy on disk: whole files that only its user may read, and a folder that is one gateway's alone."""

from __future__ import annotations

import asyncio
import stat
import threading
from pathlib import Path

import pytest

from confcast.fleet.gateway.disk import StateFolder
from confcast.fleet.gateway.disk_thread import DiskThread
from confcast.fleet.gateway.errors import StateFolderError
from confcast.fleet.head import digest_of
from tests.support.interning import interned
from tests.support.waiting import DEADLINE

ONE, TWO = digest_of(b"1"), digest_of(b"2")


@pytest.fixture
def folder(tmp_path: Path):
    found = StateFolder(str(tmp_path / "gateway"))
    yield found
    found.close()


def test_what_was_kept_is_found_and_nobody_else_may_read_it(folder: StateFolder):
    copy = folder.copy_of("shop")
    assert (copy.head(), copy.payload(ONE)) == (None, None)
    copy.keep_payload(ONE, b"1")
    copy.keep_head(b"head", [ONE])
    folder.gateway_id()
    assert (copy.head(), copy.payload(ONE)) == (b"head", b"1")
    for path in [folder.path, *folder.path.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_payloads_that_no_head_names_any_more_are_deleted_with_what_a_killed_writer_left(folder: StateFolder):
    copy = folder.copy_of("shop")
    copy.keep_payload(ONE, b"1")
    copy.keep_payload(TWO, b"2")
    (left,) = (path.parent / f".{TWO}" for path in folder.path.rglob(TWO))
    left.write_bytes(b"half")
    copy.keep_head(b"head", [ONE])
    assert (copy.payload(ONE), copy.payload(TWO), left.exists()) == (b"1", None, False)


def test_of_the_payloads_that_have_come_and_gone_the_interpreter_keeps_no_name(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
):
    copy, kept = folder.copy_of("shop"), interned(monkeypatch)

    for digest, content in ((ONE, b"1"), (TWO, b"2")):
        copy.keep_payload(digest, content)
        copy.keep_head(b"head", [digest])
        assert copy.payload(digest) == content

    assert not {ONE, TWO} & {*kept}


@pytest.mark.parametrize("spoiled", [b"", b"other", b"1" * 2_000_000])
def test_a_payload_that_is_another_than_its_digest_says_is_as_if_it_was_not_there(folder: StateFolder, spoiled: bytes):
    copy = folder.copy_of("shop")
    copy.keep_payload(ONE, b"1")
    (path,) = folder.path.rglob(ONE)
    path.write_bytes(spoiled)
    assert copy.payload(ONE) is None


def test_keys_have_folders_of_their_own_whatever_is_in_them(folder: StateFolder):
    for key in ("a", "b", "../x", "ü" * 300):
        folder.copy_of(key).keep_head(key.encode()[:500], [])
    assert folder.copy_of("a").head() == b"a"
    assert folder.copy_of("../x").head() == b"../x"
    assert not (folder.path.parent / "x").exists()


def test_the_id_stays_and_is_made_anew_where_it_is_spoiled(folder: StateFolder):
    first = folder.gateway_id()
    assert folder.gateway_id() == first
    (folder.path / "id").write_bytes(b"\xff two lines\n")
    assert folder.gateway_id() != first


def test_a_second_gateway_is_refused_until_the_first_has_ended(folder: StateFolder):
    with pytest.raises(StateFolderError, match="another gateway uses this folder"):
        StateFolder(str(folder.path))
    folder.close()
    folder._lock = StateFolder(str(folder.path))._lock


def test_a_folder_that_can_not_be_made_is_refused_in_words(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(StateFolderError, match=r"can't be kept there: Not a directory.*--state-dir"):
        StateFolder(str(tmp_path / "file" / "gateway"))


def test_a_failed_write_is_an_error_in_words_and_leaves_no_half(folder: StateFolder):
    copy = folder.copy_of("shop")
    copy.keep_head(b"head", [])
    (there,) = folder.path.glob("key-*")
    there.rename(folder.path / "away")
    there.touch()
    with pytest.raises(StateFolderError, match="can't be written"):
        copy.keep_head(b"other", [])


def test_a_thread_that_waits_for_a_disk_holds_nobody_up():
    stuck = threading.Event()

    async def main() -> None:
        disk = DiskThread()
        waiting = asyncio.create_task(disk.do(lambda: stuck.wait(DEADLINE)))
        await asyncio.sleep(0)
        waiting.cancel()
        disk.close(0.0)
        stuck.set()
        disk.close(DEADLINE)

    asyncio.run(main())


def test_what_a_function_returns_or_raises_comes_back():
    async def main() -> None:
        disk = DiskThread()
        assert await disk.do(lambda: 1 + 1) == 2
        with pytest.raises(ZeroDivisionError):
            await disk.do(lambda: 1 // 0)
        disk.close(DEADLINE)

    asyncio.run(main())
