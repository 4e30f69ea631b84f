"""G7 through a real manager: a bad file is refused with its position, changes nothing, and a good one goes through."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from confcast import ReloadResult
from tests.support.fixtures import Manager
from tests.support.settings import text, write
from tests.support.workers import Worker

Spoil = Callable[[Path], object]


def missing(path: Path) -> None:
    path.unlink()


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def unreadable(path: Path) -> None:
    """Not by its mode, which does not hold for root: by a link that leads to itself."""
    path.unlink()
    path.symlink_to(path.name)


def of(content: str | bytes) -> Spoil:
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data)


TWENTY = "\n".join([text(1), *(f"unknown_{number} = 0" for number in range(20))])

BAD: dict[str, tuple[Spoil, ReloadResult, list[str]]] = {
    "missing": (missing, ReloadResult.FILE_NOT_FOUND, ["app.toml: "]),
    "a_directory": (a_directory, ReloadResult.VALIDATION_FAILED, ["app.toml: ", "directory, not a file"]),
    "unreadable": (unreadable, ReloadResult.IO_ERROR, ["app.toml: "]),
    "empty": (of(""), ReloadResult.VALIDATION_FAILED, ["app.toml: "]),
    "only_comments": (of("# number = 1\n\n"), ReloadResult.VALIDATION_FAILED, ["app.toml: "]),
    "not_utf_8": (of(b'number = 2\ntwin = 2\nname = "caf\xe9"\n'), ReloadResult.VALIDATION_FAILED, ["app.toml:3:12: "]),
    "half_written": (of("number = 2\ntwin ="), ReloadResult.VALIDATION_FAILED, ["app.toml:2:7: "]),
    "a_duplicate_key": (of("number = 2\ntwin = 2\nnumber = 3\n"), ReloadResult.VALIDATION_FAILED, ["app.toml:3:"]),
    "an_unknown_key": (
        of("number = 2\ntwin = 2\n[limits]\nhihg = 5\n"),
        ReloadResult.VALIDATION_FAILED,
        ["app.toml:4:1: limits.hihg: "],
    ),
    "true_for_an_int": (
        of("number = true\ntwin = 2\n"),
        ReloadResult.VALIDATION_FAILED,
        ["app.toml:1:10: number: "],
    ),
    "out_of_range": (
        of("number = 2\ntwin = 2\n[limits]\nhigh = 1001\n"),
        ReloadResult.VALIDATION_FAILED,
        ["app.toml:4:8: limits.high: Input should be less than or equal to 1000 (got 1001)"],
    ),
    "a_missing_key": (of("number = 2\n"), ReloadResult.VALIDATION_FAILED, ["twin: "]),
    "across_fields": (
        of("number = 2\ntwin = 3\n"),
        ReloadResult.VALIDATION_FAILED,
        ["twin (3) must equal number (2)"],
    ),
    "across_fields_of_a_table": (
        of("number = 2\ntwin = 2\n[limits]\nlow = 9\nhigh = 5\n"),
        ReloadResult.VALIDATION_FAILED,
        ["app.toml:3:2: limits: ", "low (9) must not be above high (5)"],
    ),
    "twenty_problems_at_once": (
        of(TWENTY),
        ReloadResult.VALIDATION_FAILED,
        [f"app.toml:{number + 4}:1: unknown_{number}: " for number in range(20)],
    ),
    "problems_of_several_kinds_at_once": (
        of('number = -1\ntwin = "one"\ntags = ["a", 5]\n[limits]\nlow = -5\n'),
        ReloadResult.VALIDATION_FAILED,
        ["app.toml:1:10: number: ", "app.toml:2:8: twin: ", "app.toml:3:14: tags.1: ", "app.toml:5:7: limits.low: "],
    ),
}


def restore(path: Path, number: int) -> None:
    """A good file, whatever stands there."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    write(path, number)


@pytest.fixture(scope="module")
def shared_worker(shared_manager: Manager, forkserver) -> Iterator[Worker]:
    """One worker of the shared manager."""
    worker = Worker(forkserver, shared_manager.address)
    yield worker
    worker.end()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_its_position_and_a_good_one_goes_through(
    name: str, shared_manager: Manager, shared_worker: Worker, shared_config: Path
) -> None:
    spoil, result, told = BAD[name]
    version, number = shared_worker.ask("read")
    restore(shared_config, number)

    spoil(shared_config)
    event = shared_manager.reload()

    assert event.result is result
    assert not event
    assert event.version == event.previous_version == version
    for expected in told:
        assert expected in str(event.error_message)
    assert event.error_message == "\n".join(map(str, event.problems))
    assert shared_worker.ask("read") == (version, number)
    assert shared_manager.get_stats()["version"] == version

    restore(shared_config, number + 1)
    good = shared_manager.reload()
    assert (good.result, good.version) == (ReloadResult.SUCCESS, version + 1)
    assert shared_worker.ask("read") == (version + 1, number + 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_refused(manager: Manager, config: Path) -> None:
    config.chmod(0)

    assert manager.reload().result is ReloadResult.IO_ERROR
