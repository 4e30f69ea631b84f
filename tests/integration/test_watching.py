"""A file that changes on disk, however it changes, is exactly one new version in every worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from confcast import ReloadResult
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.fragments import Fragments
from tests.support.settings import text, write
from tests.support.slow import slow
from tests.support.waiting import eventually


def in_place(folder: Path, number: int) -> None:
    (folder / "app.toml").write_text(text(number))


def by_a_rename(folder: Path, number: int) -> None:
    write(folder / "app.toml", number)


def deleted_and_made_again(folder: Path, number: int) -> None:
    (folder / "app.toml").unlink()
    (folder / "app.toml").write_text(text(number))


def by_a_swap_of_the_data_link(folder: Path, number: int) -> None:
    """What a kubelet does to a mounted ConfigMap."""
    release = folder / f"..release_{number}"
    release.mkdir()
    (release / "app.toml").write_text(text(number))
    (folder / "..data_tmp").symlink_to(release.name)
    (folder / "..data_tmp").rename(folder / "..data")
    if not (folder / "app.toml").is_symlink():
        (folder / "app.toml").unlink(missing_ok=True)
        (folder / "app.toml").symlink_to("..data/app.toml")


def by_another_folder_in_its_place(folder: Path, number: int) -> None:
    fresh, old = folder.with_name(f"fresh_{number}"), folder.with_name(f"old_{number}")
    fresh.mkdir()
    (fresh / "app.toml").write_text(text(number))
    folder.rename(old)
    fresh.rename(folder)


def made_versions(manager: Manager) -> list[tuple[int, str]]:
    """Each with what caused it, newest first. An event is recorded when everyone has the version."""
    events = manager.get_event_history()
    return [(event.version, event.origin) for event in events if event.result is ReloadResult.SUCCESS]


WAYS = [in_place, by_a_rename, by_a_swap_of_the_data_link]
MORE_WAYS = map(slow, [deleted_and_made_again, by_another_folder_in_its_place])


@pytest.mark.parametrize("change", [*WAYS, *MORE_WAYS], ids=lambda way: way.__name__)
def test_each_change_is_exactly_one_version(
    change: Callable[[Path, int], None], start_manager: StartManager, start_worker: StartWorker, tmp_path: Path
) -> None:
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "app.toml").touch()
    change(folder, 1)
    manager = start_manager(folder / "app.toml", watch=True)
    worker = start_worker(manager)

    for number in (2, 3, 4):
        change(folder, number)
        assert worker.ask("await_number", number) == number  # the version counts up by one for each change

    made = eventually(lambda: len(made := made_versions(manager)) == 4 and made, "four events")
    assert made == [(4, "watch"), (3, "watch"), (2, "watch"), (1, "start")]


@pytest.mark.parametrize(
    ("spoil", "result"),
    [
        (lambda config: write(config, -1), ReloadResult.VALIDATION_FAILED),
        slow(lambda config: config.unlink(), ReloadResult.FILE_NOT_FOUND),
    ],
    ids=["bad", "deleted"],
)
def test_a_file_that_can_t_be_loaded_is_refused_once_and_the_next_good_one_goes_through(
    spoil: Callable[[Path], None],
    result: ReloadResult,
    start_manager: StartManager,
    start_worker: StartWorker,
    config: Path,
) -> None:
    manager = start_manager(watch=True)
    worker = start_worker(manager)

    spoil(config)
    refused = eventually(lambda: [e for e in manager.get_event_history() if not e], "the refusal in the history")
    assert [(event.result, event.origin) for event in refused] == [(result, "watch")]
    assert worker.ask("read") == (1, 1)

    write(config, 2)
    assert worker.ask("await_number", 2) == 2


def test_a_file_that_somebody_is_still_writing_is_not_read(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(watch=True)
    worker = start_worker(manager)
    whole = text(2)

    with config.open("w") as file:  # the first part alone is valid, and has another number
        file.write(text(7))
        file.flush()
        loads = manager.get_stats()["total_reloads"]
        file.seek(0)
        file.truncate()
        file.write(whole)

    assert worker.ask("await_number", 2) == 2
    assert loads == 0
    assert manager.version == 2


def test_without_watching_only_a_trigger_loads(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(watch=False)
    worker = start_worker(manager)
    write(config, 2)
    assert worker.ask("read") == (1, 1)

    manager.request_reload()

    assert worker.ask("await_number", 2) == 2
    eventually(lambda: made_versions(manager) == [(2, "signal"), (1, "start")], "the event of the signal")


@pytest.mark.parametrize("names_files", [slow(False), True], ids=["the directory", "the files that are there"])
def test_fragments_that_a_source_finds_in_a_directory_are_noticed(
    names_files: bool, start_manager: StartManager, start_worker: StartWorker, config: Path, tmp_path: Path
) -> None:
    """From the first one on, in a directory that is not there at the start. The clock compares later than that."""
    folder = tmp_path / "far" / "away" / "conf.d"
    folder.parent.mkdir(parents=True)
    manager = start_manager(config, Fragments(str(folder), names_files), watch=True)
    worker = start_worker(manager)

    folder.mkdir()
    write(folder / "10.toml", 2)
    assert worker.ask("await_number", 2) == 2
    write(folder / "20.toml", 3)
    assert worker.ask("await_number", 3) == 3
    write(folder / "20.toml", 4)
    assert worker.ask("await_number", 4) == 4
    (folder / "20.toml").unlink()
    assert worker.ask("await_number", 2) == 5

    made = eventually(lambda: len(made := made_versions(manager)) == 5 and made, "five events")
    assert [origin for _, origin in made] == [*["watch"] * 4, "start"]
