"""What a program inherits from `confcast exec`: who may take it, once, and what becomes of another file's number."""

from __future__ import annotations

import fcntl
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast.wire.files import inherited_snapshot
from confcast.wire.files.inherited_snapshot import hand_over, snapshot_variable, take
from confcast.wire.files.snapshot_file import Saved
from confcast.wire.messages import PROTOCOL
from tests.support.leaks import belongings

SAVED = Saved(PROTOCOL, b"schema", 7, b"digest", b"token = 'hush-hush'")
VARIABLE = snapshot_variable("app")
ADDRESS = "/run/app/control.sock"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("CONFCAST_ADDRESS_APP", ADDRESS)
    before = belongings()
    yield
    take("app", "app")
    assert belongings() == before


def descriptor() -> int:
    return int(os.environ[VARIABLE].split(":")[0])


@pytest.mark.parametrize("address", [ADDRESS, "app"])
def test_it_is_taken_once_by_who_attaches_to_that_owner(address: str) -> None:
    hand_over("app", SAVED)
    found = take("app", address)
    assert found is not None
    assert found.saved == SAVED
    assert 0 <= found.age < 60
    assert "hush" not in f"{found!r}"
    assert VARIABLE not in os.environ
    assert take("app", address) is None


def test_who_attaches_elsewhere_leaves_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hand_over("app", SAVED)
    assert take("app", "/run/other/control.sock") is None
    assert take("other", ADDRESS) is None
    assert take("app", ADDRESS) is not None


def test_no_secret_is_in_the_environment_and_nobody_can_change_the_file() -> None:
    hand_over("app", SAVED)
    fd = descriptor()
    status = os.fstat(fd)
    assert "hush" not in os.environ[VARIABLE]
    assert os.get_inheritable(fd)
    assert fd >= 64
    assert (stat.S_IMODE(status.st_mode), status.st_nlink) == (0o600, 0)
    if sys.platform == "linux":
        with pytest.raises(PermissionError):
            os.write(fd, b"x")


def test_where_few_files_may_be_open_another_number_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inherited_snapshot, "_LEAST_FD", 1 << 29)
    hand_over("app", SAVED)
    assert 3 <= descriptor() < 1 << 29
    assert take("app", "app") is not None


def test_without_files_in_memory_it_is_an_unlinked_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    hand_over("app", SAVED)
    assert list(tmp_path.iterdir()) == []
    found = take("app", ADDRESS)
    assert found is not None
    assert found.saved == SAVED


def test_two_processes_that_share_the_descriptor_both_read_all_of_it() -> None:
    hand_over("app", SAVED)
    text, fd = os.environ[VARIABLE], descriptor()
    other = fcntl.fcntl(fd, fcntl.F_DUPFD, 64)
    assert take("app", "app") is not None
    os.dup2(other, fd)
    os.close(other)
    os.environ[VARIABLE] = text
    assert take("app", "app") is not None


def test_the_number_of_another_file_by_now_is_left_alone() -> None:
    hand_over("app", SAVED)
    fd = descriptor()
    os.close(fd)
    reader, writer = os.pipe()
    try:
        assert os.dup2(reader, fd) == fd
        assert take("app", "app") is None
        os.fstat(fd)  # it is open still
    finally:
        for each in (fd, reader, writer):
            os.close(each)


NONSENSE = ["", "x", "5", "64:1", "64:1:2:3", "-1:2:3", f"{'9' * 30}:1:2", "9999999999:1:2", "²:1:1"]


@pytest.mark.parametrize("text", NONSENSE)
def test_a_value_that_makes_no_sense_is_none(text: str) -> None:
    os.environ[VARIABLE] = text
    assert take("app", "app") is None


def test_a_version_of_another_protocol_is_none() -> None:
    hand_over("app", Saved(PROTOCOL + 1, b"schema", 7, b"digest", b"payload"))
    assert take("app", "app") is None


def test_a_version_that_was_inherited_is_closed_for_the_next_one() -> None:
    hand_over("app", SAVED)
    hand_over("app", SAVED)
    assert take("app", "app") is not None
