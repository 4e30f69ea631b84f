"""What an owner writes about its server: written and read whole, by whom it is for, and never waited for."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from confcast.wire.files import about
from confcast.wire.files.about import About, module_file
from tests.support import settings

TOLD = About("app", "settings:Settings", "Settings", "/srv/settings.py", ["File /srv/app.toml"], "/srv", "gunicorn app")


def test_what_is_written_is_read_and_is_this_users_alone(tmp_path: Path) -> None:
    about.save(tmp_path, TOLD)

    assert about.load(tmp_path) == TOLD
    assert [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()] == [0o600]
    assert TOLD.loads == ("settings:Settings", "File /srv/app.toml")


@pytest.mark.parametrize("content", [b"", b"\x97\xa3app", b"\x97\xa1\xff" + b"\xa0" * 6, b"\x01"])
def test_what_can_not_be_read_gives_nothing(content: bytes, tmp_path: Path) -> None:
    assert about.load(tmp_path) is None
    (tmp_path / about.FILE).write_bytes(content)
    assert about.load(tmp_path) is None


def test_root_follows_no_link_of_another_users_and_waits_for_nobody(tmp_path: Path) -> None:
    about.save(tmp_path, TOLD)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / about.FILE).symlink_to(tmp_path / about.FILE)
    assert about.load(tmp_path / "folder") is None
    (tmp_path / "folder" / about.FILE).unlink()
    os.mkfifo(tmp_path / "folder" / about.FILE)
    assert about.load(tmp_path / "folder") is None
    (tmp_path / "folder" / about.FILE).unlink()
    (tmp_path / "folder" / about.FILE).mkdir()
    assert about.load(tmp_path / "folder") is None


def test_the_file_of_a_class_is_that_of_its_module() -> None:
    assert module_file(settings.Settings) == settings.__file__
    assert module_file(int) == ""


def test_a_path_that_is_no_utf_8_is_written_with_escapes(tmp_path: Path) -> None:
    """Of a module, or of a source's file; a server that is started in such a folder has no owner, as the error says."""
    path = b"/srv/\xff".decode(errors="surrogateescape")
    about.save(tmp_path, About("app", "s:S", "S", f"{path}/s.py", [f"File {path}"], path, "gunicorn"))

    told = about.load(tmp_path)
    assert told is not None
    assert (told.module, told.sources, told.working_directory) == (
        "/srv/\\udcff/s.py",
        ["File /srv/\\udcff"],
        "/srv/\\udcff",
    )
