"""A process beside the server finds the next owner, says that it has lost one, and takes no other application's.

Which owner is the next one is tested without processes in `tests/unit/worker/connection/test_discovery.py`; here, what
takes two servers is slow.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest

from confcast.wire import processes as known
from confcast.wire.files import owner_dirs
from confcast.worker.client.members import owners_of
from tests.support.beside import Beside, Server, start
from tests.support.leaks import is_running
from tests.support.settings import SCHEMA, write
from tests.support.workers import Raised, Worker

Start = Callable[..., Worker]

OTHER = """
from pydantic import BaseModel
class Settings(BaseModel):
    number: int
    twin: int
    color: str = "red"
"""


@pytest.fixture
def processes(forkserver: BaseContext, runtime_folder: Path, nothing_is_left: None) -> Iterator[Callable[..., Worker]]:
    """Starts processes; at the end they are ended."""
    started: list[Worker] = []

    def start_one(commands: type[Server | Beside], *arguments: str) -> Worker:
        started.append(start(forkserver, commands, *arguments))
        return started[-1]

    yield start_one
    for process in started:
        with contextlib.suppress(ValueError):  # the test has ended it
            process.end()


@pytest.fixture
def serve(processes: Callable[..., Worker], config: Path, tmp_path: Path) -> Start:
    """Starts a server of this file in this folder."""

    def start_server(file: Path = config, folder: Path = tmp_path, *schema: str) -> Worker:
        return processes(Server, str(file), str(folder), *schema)

    return start_server


@pytest.fixture
def beside(processes: Callable[..., Worker]) -> Worker:
    """A process beside the server, which is not attached yet."""
    return processes(Beside)


def test_after_a_full_reload_it_follows_and_the_old_owner_ends(serve: Start, beside: Worker) -> None:
    server = serve()
    old, address = server.ask("owner"), server.ask("address")
    assert beside.ask("attach", address) == 1

    following = server.ask("next_generation")
    server.ask("leave")  # which waits for the owner, and kills one that does not leave in time

    assert not is_running(old)
    said = beside.ask("await_log", "found again")
    assert server.ask("write", 2) == "success"
    assert beside.ask("read") == (2, 2, True)
    assert server.ask("workers") == [beside.pid]
    lost, found = said
    assert lost.startswith(f"the config owner of 'app' at {address} is gone: this process goes on with version 1, and ")
    assert found == f"a config owner of 'app' was found again, at {following}"


@pytest.mark.parametrize("how", [pytest.param("end", marks=pytest.mark.slow), "kill"])
def test_after_a_restart_it_follows_and_its_version_never_goes_down(
    how: str, serve: Start, beside: Worker, config: Path
) -> None:
    server = serve()
    assert server.ask("write", 2) == "success"
    assert beside.ask("attach", server.ask("address")) == 2
    getattr(server, how)()

    beside.ask("await_log", "is gone: this process goes on with version 2")
    assert beside.ask("read") == (2, 2, False)
    write(config, 3)
    again = serve()

    assert beside.ask("await_number", 3) > 2
    assert again.ask("write", 4) == "success"
    assert beside.ask("read")[1:] == (4, True)
    assert len(beside.ask("await_log", f"found again, at {again.ask('address')}")) == 2


@pytest.mark.slow
def test_an_owner_that_dies_is_waited_for_at_its_address(serve: Start, beside: Worker) -> None:
    server = serve()
    address = server.ask("address")
    assert beside.ask("attach", address) == 1
    owner = server.ask("owner")
    other = serve()  # which fits as well
    os.kill(owner, signal.SIGKILL)
    beside.ask("await_connected", False)
    assert server.ask("write", 2) == "success"  # which starts the next one

    assert beside.ask("await_log", "found again")[-1].endswith(address)
    assert beside.ask("await_number", 2) == 2
    assert other.ask("workers") == []


def test_what_was_started_elsewhere_for_another_file_is_not_followed(
    serve: Start, beside: Worker, tmp_path: Path
) -> None:
    """As the staging server of the same application and user."""
    staging = tmp_path / "staging"
    staging.mkdir()
    write(staging / "app.toml", 100)
    server, other = serve(), serve(staging / "app.toml", staging)
    assert beside.ask("attach", server.ask("address")) == 1
    server.end()

    beside.ask("await_connected", False)
    again = serve()
    beside.ask("await_connected", True)
    assert again.ask("workers") == [beside.pid]
    assert other.ask("workers") == []


@pytest.mark.slow
def test_one_that_loads_the_same_file_is_followed_though_it_was_started_elsewhere(
    serve: Start, beside: Worker, tmp_path: Path
) -> None:
    """As after a deploy into a folder of its own."""
    server = serve()
    assert beside.ask("attach", server.ask("address")) == 1
    server.end()
    (tmp_path / "release").mkdir()
    again = serve(folder=tmp_path / "release")

    beside.ask("await_connected", True)
    assert again.ask("workers") == [beside.pid]


def test_another_schema_is_refused_in_words_and_the_right_one_is_found_after_it(
    serve: Start, beside: Worker, config: Path, tmp_path: Path
) -> None:
    """Another application of the same name, in the same folder."""
    (tmp_path / "other_settings.py").write_text(OTHER)
    server = serve()
    assert beside.ask("attach", server.ask("address")) == 1
    server.end()
    other = serve(config, tmp_path, "other_settings:Settings")

    said = beside.ask("await_log", "is not followed")[-1]
    assert f"the config owner at {other.ask('address')} is not followed: the schema of 'app' here is not the" in said
    assert "color: absent here" in said
    assert f"that owner is another program's ({known.command(other.pid)}, process {other.pid}, started in" in said
    assert f"other_settings:Settings in {tmp_path}/other_settings.py; here it is Settings in " in said
    assert other.ask("workers") == []
    other.end()
    again = serve()

    beside.ask("await_connected", True)
    assert again.ask("workers") == [beside.pid]


@pytest.mark.slow
def test_of_two_that_fit_none_is_taken_and_that_is_said(serve: Start, beside: Worker, tmp_path: Path) -> None:
    server, *others = serve(), serve(), serve()
    assert beside.ask("attach", server.ask("address")) == 1
    server.end()

    said = beside.ask("await_log", "2 config owners could be meant")[-1]
    assert all(f"{other.ask('address')} ({tmp_path})" in said for other in others)
    assert "attach to one by its address" in said
    assert [other.ask("workers") for other in others] == [[], []]


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_process_of_the_workers_user_follows_the_owners_of_a_server_of_root_s(
    processes: Callable[..., Worker], beside: Worker, config: Path, tmp_path: Path, runtime_folder: Path
) -> None:
    runtime_folder.chmod(0o755)  # as /dev/shm: anybody sees the names in it
    server = processes(Server, str(config), str(tmp_path), SCHEMA, "65534")
    beside.ask("become", 65534)
    assert beside.ask("attach", server.ask("address")) == 1
    server.ask("next_generation")
    server.ask("leave")
    beside.ask("await_log", "found again")
    server.end()

    again = processes(Server, str(config), str(tmp_path), SCHEMA, "65534")
    beside.ask("await_log", "found again", 2)
    assert again.ask("workers") == [beside.pid]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_server_of_root_s_is_found_by_a_process_of_the_workers_user(
    processes: Callable[..., Worker],
    beside: Worker,
    config: Path,
    tmp_path: Path,
    runtime_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By `--pid`: root's owner has it on its roster, and no master is among its parents."""
    monkeypatch.setattr(owner_dirs, "candidates", owner_dirs.named)
    runtime_folder.chmod(0o755)
    server = processes(Server, str(config), str(tmp_path), SCHEMA, "65534")
    beside.ask("become", 65534)
    beside.ask("attach", server.ask("address"))

    assert [each.address for each in owners_of(beside.pid, None)] == [server.ask("address")]


# ---- by name


def test_by_name_it_finds_the_owner_of_this_user_and_the_next_one(
    serve: Start, beside: Worker, config: Path, tmp_path: Path
) -> None:
    server = serve()
    assert beside.ask("attach", "app") == 1
    assert server.ask("workers") == [beside.pid]
    server.end()
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    write(folder / "app.toml", 5)

    serve(folder / "app.toml", folder)

    assert beside.ask("await_number", 5) > 1


@pytest.mark.slow
def test_by_name_the_server_may_be_started_later(serve: Start, beside: Worker) -> None:
    with pytest.raises(Raised, match=r"within 0.2 s: no config owner named 'app' runs for this user \(uid \d+\)"):
        beside.ask("attach", "app", 0.2)
    beside.tell("attach", "app", 60.0)
    serve()
    assert beside.answer() == 1


@pytest.mark.slow
def test_by_name_the_one_that_was_started_in_its_folder_is_meant(
    serve: Start, beside: Worker, config: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    here, other = serve(), serve(config, folder)
    with pytest.raises(Raised, match="2 config owners could be meant") as caught:
        beside.ask("attach", "app", 0.2)
    assert all(server.ask("address") in str(caught.value) for server in (here, other))
    beside.ask("go_to", str(folder))
    assert beside.ask("attach", "app") == 1
    assert other.ask("workers") == [beside.pid]


@pytest.mark.slow
def test_an_address_whose_server_is_gone_is_said_to_be_nobody_s(serve: Start, beside: Worker) -> None:
    server = serve()
    address = server.ask("address")
    server.end()
    with pytest.raises(Raised, match=f"there is no config owner at {address}, nor one that has taken its place"):
        beside.ask("attach", address, 0.2)


@pytest.mark.slow
def test_an_old_address_of_a_living_server_leads_to_its_newest_owner(serve: Start, beside: Worker) -> None:
    server = serve()
    old = server.ask("address")
    server.ask("next_generation")
    assert beside.ask("attach", old) == 1
    assert server.ask("workers") == [beside.pid]
    server.ask("leave")
    assert beside.ask("read") == (1, 1, True)
