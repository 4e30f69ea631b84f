"""The id of a host: kept, and made anew where what is kept is another host's, or damaged."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from confcast.owner.store.host_id import FILE, host_id, host_name


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "web-3.example")


def test_it_has_the_hosts_name_and_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    made = host_id(tmp_path)
    assert re.fullmatch(r"web-3\.example-[0-9a-f]{8}", made)
    assert host_id(tmp_path) == made
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_two_folders_have_two_ids(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert host_id(tmp_path) != host_id(tmp_path / "other")


def test_a_folder_that_was_copied_to_another_host_gives_another_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = host_id(tmp_path)
    monkeypatch.setattr(socket, "gethostname", lambda: "web-4.example")
    other = host_id(tmp_path)
    assert other.startswith("web-4.example-")
    assert other[-8:] != made[-8:]
    assert host_id(tmp_path) == other


@pytest.mark.parametrize(
    "damage", [b"", b"\0" * 30, b"web-3.example-", b"web-3.example-XYZ12345\n", b"a/b-01234567", b"\xff"]
)
def test_what_is_damaged_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / FILE).write_bytes(damage)
    made = host_id(tmp_path)
    assert re.fullmatch(r"web-3\.example-[0-9a-f]{8}", made)
    assert host_id(tmp_path) == made


def test_a_folder_that_can_not_be_written_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    missing = tmp_path / "missing"
    assert host_id(missing).startswith("web-3.example-")
    assert f"the id of this host can't be kept in {missing}" in caplog.text


@pytest.mark.parametrize(
    ("name", "shown"), [("", "host"), ("a b/c", "a-b-c"), ("ö" * 5, "host"), ("x" * 99, "x" * 63), (".dot.", "dot")]
)
def test_a_name_is_made_of_plain_characters(monkeypatch: pytest.MonkeyPatch, name: str, shown: str) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    assert host_name() == shown


def test_a_folder_in_its_place_is_no_id(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE).mkdir()
    assert host_id(tmp_path).startswith("web-3.example-")
    assert "can't be kept" in caplog.text
