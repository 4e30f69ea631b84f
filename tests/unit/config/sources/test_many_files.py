"""Several files in one loader: a hundred of them, and files that are swapped together while they are read."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from confcast import ConfigError, ConfigLoader, File
from confcast.config.sources import disk
from confcast.config.sources.layer import Layer
from tests.support.leaks import descriptors

pytestmark = pytest.mark.usefixtures("here")

COUNT = 100


class Open(BaseModel, extra="allow"):
    """Takes whatever the files say."""


class Pair(BaseModel):
    """One value from each of two files."""

    left: int
    right: int


# ---- a hundred


@pytest.fixture
def hundred() -> list[File]:
    for number in range(COUNT):
        Path(f"{number:02}.toml").write_text(f"last = {number}\n[own]\nof_{number} = {number}\n")
    return [File(f"{number:02}.toml") for number in range(COUNT)]


def test_a_hundred_files_are_laid_over_each_other_in_their_order(hundred):
    candidate = ConfigLoader(Open, *hundred).load()
    assert candidate.config.model_extra == {"last": 99, "own": {f"of_{number}": number for number in range(COUNT)}}
    assert candidate.origin_of("last") == "99.toml:1:8"
    assert candidate.origin_of("own.of_7") == "07.toml:3:8"
    assert len(ConfigLoader(Open, *hundred)._watched()) == COUNT


def test_one_typo_in_a_hundred_files_is_reported_with_its_place_and_so_are_a_hundred(hundred):
    Path("41.toml").write_text("last = 41\n[own\n")
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Open, *hundred).load()
    assert [problem.location for problem in caught.value.problems] == ["41.toml:2:5"]
    for file in hundred:
        Path(file.path).write_text("x = 1\nlast = \n")
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Open, *hundred).load()
    assert [problem.location for problem in caught.value.problems] == [f"{n:02}.toml:2:8" for n in range(COUNT)]


def test_reading_a_hundred_files_leaves_none_open(hundred):
    loader = ConfigLoader(Open, *hundred)
    loader.load()
    before = descriptors()
    loader.load()
    loader._fingerprint()
    assert loader._still_being_written() == ()
    assert descriptors() == before


# ---- files that belong together


def swap(number: int) -> None:
    """As a kubelet does: both files at once, by one link."""
    data = Path(f"..{number}")
    data.mkdir()
    (data / "left.toml").write_text(f"left = {number}\n")
    (data / "right.toml").write_text(f"right = {number}\n")
    before = Path("..data").resolve() if Path("..data").is_symlink() else None
    Path("..tmp").symlink_to(data)
    Path("..tmp").rename("..data")
    if before is not None:
        shutil.rmtree(before)
    else:
        Path("left.toml").symlink_to("..data/left.toml")
        Path("right.toml").symlink_to("..data/right.toml")


acts: list[Any] = []
"""What happens between the two files, in each reading."""


class Between(msgspec.Struct, frozen=True):
    """A source that gives nothing, and lets something happen."""

    def read(self) -> Layer:
        if acts:
            acts.pop(0)()
        return Layer("between", {})


@pytest.fixture
def loader() -> ConfigLoader[Pair]:
    acts.clear()
    swap(1)
    return ConfigLoader(Pair, "left.toml", Between(), "right.toml")


def test_a_swap_between_two_files_is_no_mixture_of_old_and_new(loader):
    acts.append(lambda: swap(2))
    assert loader.load().config == Pair(left=2, right=2)


def test_a_file_that_is_missing_only_in_the_midst_of_a_swap_is_not_missed(loader, monkeypatch):
    acts.append(lambda: Path("..data").rename("..aside"))
    monkeypatch.setattr(disk.time, "sleep", lambda _: Path("..aside").rename("..data"))  # before it is read again
    assert loader.load().config == Pair(left=1, right=1)


def test_files_that_never_rest_are_refused_by_name(loader, monkeypatch):
    monkeypatch.setattr(disk, "WRITER_GRACE", 0.02)
    numbers = itertools.count(2)
    acts.extend([lambda: swap(next(numbers))] * 10_000)
    with pytest.raises(ConfigError) as caught:
        loader.load()
    (problem,) = caught.value.problems
    here = Path.cwd()
    assert str(problem) == f"the files change while they are read: {here / 'left.toml'}, {here / 'right.toml'}"


def test_a_fault_that_stays_is_reported_at_once(loader):
    Path("..1/left.toml").write_text("left = \n")
    readings = [0]

    def count() -> None:
        readings[0] += 1

    acts.extend([count] * 10)
    with pytest.raises(ConfigError, match=r"left\.toml:1:8"):
        loader.load()
    assert readings == [1]
