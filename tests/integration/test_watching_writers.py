"""Writers as they are: slow, endless, many at once. Nothing goes live that nobody meant."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from confcast import ConfigLoader, ConfigReloadManager, ReloadResult
from tests.support.fixtures import StartManager, StartWorker
from tests.support.opens import Opens
from tests.support.settings import write
from tests.support.waiting import eventually


def test_no_prefix_of_a_file_goes_live_while_its_writer_has_it_open(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    """Each byte stands until the owner has found the file at rest, and open. Two prefixes are valid configurations."""
    manager = start_manager(watch=True)
    worker = start_worker(manager)
    worker.ask("observe")
    whole = b'number=2\ntwin=2\nname="x"\n'

    with Opens(config) as opens, config.open("wb", buffering=0) as file:
        for byte in whole:
            file.write(bytes([byte]))
            opens.forget()
            opens.wait(2)  # the first may have been on its way
        held = manager.get_stats()

    assert worker.ask("await_number", 2) == 2
    made = eventually(lambda: [event for event in manager.get_event_history() if event.version == 2], "its event")
    assert {change.key for change in made[-1].changes} == {"name", "number", "twin"}
    assert held["total_reloads"] == 0
    assert manager.get_stats()["failed_reloads"] == 0
    assert worker.ask("observed", 1) == [(1, 2)]


@pytest.fixture
def endless() -> Iterator[Callable[[Callable[[int], None]], Callable[[], None]]]:
    """Starts somebody who does something over and over; what is returned ends that."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def begin(act: Callable[[int], None]) -> Callable[[], None]:
        def run() -> None:
            number = 1
            while not stop.wait(0.0005):  # a pace at which no file grows beyond what is allowed
                number += 1
                act(number)

        threads.append(threading.Thread(target=run))
        threads[-1].start()

        def end() -> None:
            stop.set()
            threads[-1].join()

        return end

    yield begin
    stop.set()
    for thread in threads:
        thread.join()


def test_an_endless_writer_of_an_open_file_holds_up_its_file_and_nobody_else(
    start_manager: StartManager, start_worker: StartWorker, config: Path, endless
) -> None:
    manager = start_manager(watch=True)
    worker = start_worker(manager)

    with config.open("a", buffering=1) as file:
        file.write("# begun\n")
        end = endless(lambda number: file.write(f"# {number}\n"))
        refused = [manager.reload() for _ in range(2)]  # the owner answers, and goes on answering
        assert worker.ask("read") == (1, 1)
        assert manager.get_stats()["version"] == 1
        end()
        file.write('name = "at last"\n')

    event = eventually(lambda: [e for e in manager.get_event_history() if e.version == 2], "the second version")[0]
    assert [event.result for event in refused] == [ReloadResult.VALIDATION_FAILED] * 2
    assert {str(event.error_message) for event in refused} <= {
        f"{config}: is still open for writing by another process",
        f"{config}: changes while it is read",
    }
    assert [change.new for change in event.changes] == ["at last"]


def test_an_endless_writer_of_whole_files_makes_whole_versions_and_the_last_one_wins(
    start_manager: StartManager, start_worker: StartWorker, config: Path, endless
) -> None:
    manager = start_manager(watch=True)
    worker = start_worker(manager)
    worker.ask("begin_reading")
    latest = [1]

    def rewrite(number: int) -> None:
        write(config, number)
        latest[0] = number

    end = endless(rewrite)
    eventually(lambda: latest[0] > 1, "the first file of the writer")
    events = [manager.reload() for _ in range(20)]  # the owner answers each
    end()
    assert all(events)
    assert [event.version for event in events] == sorted(event.version for event in events)
    assert events[-1].version > 1

    worker.ask("await_number", latest[0])
    assert worker.ask("end_reading") == []


# ---- fifty swaps


class Mounted(BaseModel):
    """A value from each file of a ConfigMap. No validator keeps them from being a mixture."""

    left: int
    right: int
    last: int


SWAPS = 50


def swap(folder: Path, number: int) -> None:
    """What a kubelet does: the files are links through `..data`, which is replaced by a rename."""
    release = folder / f"..release_{number}"
    release.mkdir()
    for key in Mounted.model_fields:
        (release / f"{key}.toml").write_text(f"{key} = {number}\n")
    (folder / "..data_tmp").symlink_to(release.name)
    (folder / "..data_tmp").rename(folder / "..data")


def test_fifty_swaps_at_random_intervals_are_no_mixture_and_the_last_one_wins(
    tmp_path: Path, runtime_folder: Path, endless
) -> None:
    """During the first half somebody also calls reload() all the time, so that swaps fall between two files."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    swap(folder, 0)
    for key in Mounted.model_fields:
        (folder / f"{key}.toml").symlink_to(f"..data/{key}.toml")
    loader = ConfigLoader(Mounted, *(folder / f"{key}.toml" for key in Mounted.model_fields))
    chance = random.Random(20250102)

    with ConfigReloadManager(loader, watch=True) as manager:
        seen: list[Mounted] = []
        manager.subscribe(lambda old, new: seen.append(new))
        end = endless(lambda _: manager.reload())
        for number in range(1, SWAPS + 1):
            if number == SWAPS // 2:
                end()
            swap(folder, number)
            threading.Event().wait(chance.choice([0, 0.005, 0.03, chance.uniform(0.05, 0.12)]))  # nothing depends on it
        eventually(lambda: manager.current.last == SWAPS, "the content of the last swap")
        eventually(lambda: seen and seen[-1].last == SWAPS, "the observer's last call")
        version = manager.version
        events = manager.get_event_history()

    assert [config for config in seen if not config.left == config.right == config.last] == []
    assert [
        event.error_message for event in events if not event and "while they are read" not in event.error_message
    ] == []
    assert 2 <= version <= SWAPS + 1
    assert [config.last for config in seen] == sorted({config.last for config in seen})
