"""Where a lasting address leads, in either of its forms, and what lies beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcast.wire.files import lasting_address
from confcast.wire.files.lasting_address import FORMER
from confcast.wire.listener import SOCKET


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (made := tmp_path / "confcast-app-4711-12.aa").mkdir()
    return made


def test_a_control_socket_is_no_lasting_address_and_leads_to_itself(folder: Path) -> None:
    address = f"{folder}/{SOCKET}"
    assert not lasting_address.is_lasting(address)
    assert lasting_address.folder_of(address) == folder
    assert lasting_address.control_socket(address) == address
    found = lasting_address.owner_at(address)
    assert found is not None
    assert found.master == 4711


@pytest.mark.parametrize("relative", [True, False])
def test_a_link_leads_to_the_control_socket_also_through_another_link(
    folder: Path, tmp_path: Path, relative: bool
) -> None:
    link = tmp_path / "c.sock"
    link.symlink_to(f"{folder.name}/{SOCKET}" if relative else folder / SOCKET)
    (tmp_path / "alias").symlink_to("c.sock")
    for address in (str(link), str(tmp_path / "alias")):
        assert lasting_address.is_lasting(address)
        assert lasting_address.folder_of(address) == folder
        assert lasting_address.control_socket(address) == f"{folder}/{SOCKET}"


def test_a_socket_that_outlives_owners_stays_the_address_and_its_link_leads_to_the_folder(
    folder: Path, tmp_path: Path
) -> None:
    (path := tmp_path / "a.sock").touch()
    address = str(path)
    assert lasting_address.folder_of(address) == tmp_path
    assert lasting_address.owner_at(address) is None
    Path(lasting_address.folder_link(address)).symlink_to(folder)
    assert lasting_address.runtime_dir_of(address) == folder
    assert lasting_address.control_socket(address) == address


def test_links_that_lead_nowhere_or_in_a_circle_lead_to_none(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "c").symlink_to("/etc/passwd")
    (tmp_path / "d.folder").symlink_to(tmp_path)
    for name in ("a", "b", "c", "d", "e", "f\0g"):
        assert lasting_address.runtime_dir_of(f"{tmp_path}/{name}") is None


def test_former_generations_are_found_one_by_one_and_a_circle_ends(tmp_path: Path) -> None:
    folders = [tmp_path / f"confcast-app-{pid}-1.x" for pid in (1, 2, 3)]
    for each in folders:
        each.mkdir()
    (folders[2] / FORMER).symlink_to(folders[1])
    (folders[1] / FORMER).symlink_to(folders[0])
    assert list(lasting_address.formers(folders[2])) == [folders[1], folders[0]]
    (folders[0] / FORMER).symlink_to(folders[2])
    assert len(list(lasting_address.formers(folders[2]))) < 50
    (folders[1] / FORMER).unlink()
    (folders[1] / FORMER).symlink_to("/etc")
    assert list(lasting_address.formers(folders[2])) == [folders[1]]


def test_a_link_is_replaced_whatever_lies_beside_it(tmp_path: Path) -> None:
    link = tmp_path / "c.sock"
    (tmp_path / ".c.sock.new").symlink_to("what a killed process has left")
    for target in ("former", "next"):
        lasting_address.lead(link, target)
        assert link.readlink() == Path(target)
    assert list(tmp_path.iterdir()) == [link]
