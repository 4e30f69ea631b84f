"""Which files are mounted one by one, by the table of mounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcast.owner.watch import bind_mounts
from confcast.owner.watch.bind_mounts import mounted_files, warn_of_mounted_files


def line(point: str) -> str:
    """A line as Linux writes it; a mount of a single file looks like any other."""
    return f"63 43 254:0 /var/lib/kubelet/pods/1/volume-subpaths/cm/app/0 {point} rw,relatime - ext4 /dev/vda rw\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = (tmp_path / "a b").resolve()
    folder.mkdir()
    for name in ("app.toml", "other.toml", "back\\slash.toml"):
        (folder / name).touch()
    return folder


def escaped(path: Path) -> str:
    return str(path).replace("\\", "\\134").replace(" ", "\\040")


def test_a_file_that_is_a_mount_point_is_found_and_one_in_a_mounted_directory_is_not(files):
    table = line("/") + line(escaped(files / "app.toml")) + line(escaped(files))
    paths = [files / "app.toml", files / "other.toml", files / "missing.toml"]
    assert mounted_files(paths, table.encode()) == [files / "app.toml"]


def test_blanks_and_backslashes_in_names_are_understood(files):
    path = files / "back\\slash.toml"
    assert mounted_files([path], line(escaped(path)).encode()) == [path]


def test_a_link_is_followed_to_the_file_that_is_mounted(files):
    (files / "link.toml").symlink_to("app.toml")
    assert mounted_files([files / "link.toml"], line(escaped(files / "app.toml")).encode()) == [files / "link.toml"]


def test_a_mounted_directory_in_a_file_s_place_is_left_to_the_reader(files):
    assert mounted_files([files], line(escaped(files)).encode()) == []


def test_the_warning_names_the_files_and_what_to_do(files, tmp_path, monkeypatch, caplog):
    table = tmp_path / "mountinfo"
    table.write_text(line(escaped(files / "app.toml")) + "a line of another kind\n")
    monkeypatch.setattr(bind_mounts, "_TABLE", table)
    warn_of_mounted_files([files / "app.toml", files / "other.toml"])
    warn_of_mounted_files([files / "other.toml"])
    (record,) = caplog.records
    assert record.name == "confcast.watch"
    assert record.message.startswith(
        f"mounted as a single file (a Kubernetes subPath, or docker -v FILE:FILE): {files / 'app.toml'}; "
    )
    assert record.message.endswith("mount the directory instead")


def test_a_system_without_that_table_has_nothing_to_warn_of(files, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(bind_mounts, "_TABLE", tmp_path / "none")
    warn_of_mounted_files([files / "app.toml"])
    assert caplog.records == []
