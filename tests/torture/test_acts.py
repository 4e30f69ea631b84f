"""The acts: each does what its name says, is recorded, and ends what another one has begun."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from confcast import ConfigError, ConfigLoader
from tests.support.admin import AdminServer
from tests.support.leaks import is_running
from tests.support.stopping import await_stopped
from tests.support.waiting import DEADLINE, eventually
from tests.torture import broken, content
from tests.torture.acts_on_files import ActsOnFiles
from tests.torture.acts_on_processes import ActsOnProcesses
from tests.torture.acts_on_storage import AHEAD, JOURNAL, LOG, SNAPSHOT, ActsOnStorage
from tests.torture.history import Act, Call, Record, Recorder, Written, now, read
from tests.torture.jobs import Served
from tests.torture.options import PROBE


class Settings(msgspec.Struct):
    """As the rig's application has it."""

    serial: int
    left: int
    right: int
    veto: str = ""
    harm: str = ""
    padding: list[str] = []
    listens: int = 1
    marks: list[int] = []


class Recorded:
    """A recorder, and what it has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.recorder = Recorder(folder, "test")

    def all(self) -> list[Record]:
        return read(self.folder)

    def written(self) -> list[Written]:
        return [each for each in self.all() if isinstance(each, Written)]

    def acts(self) -> list[Act]:
        return [each for each in self.all() if isinstance(each, Act)]


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[Recorded]:
    made = Recorded(tmp_path / "history")
    yield made
    made.recorder.close()


# ---- files


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "app.toml"
    path.write_text(content.text(1))
    return path


@pytest.fixture
def files(config: Path, recorded: Recorded) -> ActsOnFiles:
    return ActsOnFiles(config, recorded.recorder)


def loaded(config: Path) -> Settings:
    return ConfigLoader(Settings, config).load().config


@pytest.mark.parametrize("before", ["replace", "rewrite", "data", "folder"])
@pytest.mark.parametrize("how", ["replace", "rewrite", "data"])
def test_a_content_is_there_whatever_was_there_before(
    how: str, before: str, files: ActsOnFiles, config: Path, recorded: Recorded
):
    if before == "folder":
        files.make_unreadable(how="folder")
    else:
        files.write(serial=2, veto="", harm="", padding=3, how=before)
    files.write(serial=3, veto="some", harm="sick", padding=80, how=how)

    found = loaded(config)
    assert (found.serial, found.left, found.right, found.veto, found.harm) == (3, 3, 3, "some", "sick")
    last = recorded.written()[-1]
    assert (last.serial, last.kind, last.veto, last.harm, last.how, last.ok) == (3, "valid", "some", "sick", how, True)


@pytest.mark.parametrize("kind", broken.KINDS)
def test_a_broken_text_is_refused(kind: str, files: ActsOnFiles, config: Path, recorded: Recorded):
    files.break_file(kind=kind, serial=2, padding=3, how="replace")
    with pytest.raises(ConfigError):
        loaded(config)
    assert recorded.written()[-1].kind == kind


@pytest.mark.parametrize("kept_open", [True, False])
def test_a_content_in_two_parts_is_refused_until_the_second_one(
    kept_open: bool, files: ActsOnFiles, config: Path, recorded: Recorded
):
    files.cut(pair=1, kept_open=kept_open, serial=2, veto="", harm="", padding=80)
    with pytest.raises(ConfigError):
        loaded(config)
    files.complete(pair=1)
    assert loaded(config).serial == 2
    assert [(each.serial, each.kind) for each in recorded.written()] == [(0, "cut"), (2, "valid")]


def test_what_was_cut_anywhere_lacks_its_last_line():
    for lines in (0, 4):
        first, rest = broken.halves(content.text(12, padding=lines).encode())
        assert (first + rest).decode() == content.text(12, padding=lines)
        with pytest.raises((tomllib.TOMLDecodeError, KeyError)):
            tomllib.loads(first.decode())["right"]


def test_a_file_is_renamed_and_comes_back_with_what_it_had(files: ActsOnFiles, config: Path, recorded: Recorded):
    files.rename_away(pair=1)
    assert not config.exists()
    files.rename_back(pair=1)
    assert loaded(config).serial == 1
    assert [(each.serial, each.kind) for each in recorded.written()] == [(0, "deleted"), (1, "valid")]


def test_a_file_is_deleted_and_touched(files: ActsOnFiles, config: Path, recorded: Recorded):
    before = config.stat().st_ino
    files.touch()
    assert config.stat().st_ino != before
    assert loaded(config).serial == 1
    files.delete()
    assert not config.exists()
    files.touch()  # what can't be done is recorded as that
    assert [(each.serial, each.ok) for each in recorded.written()] == [(1, True), (0, True), (1, False)]


def test_a_file_loses_its_rights_and_has_them_again_with_the_next_content(files: ActsOnFiles, config: Path):
    files.make_unreadable(how="mode")
    assert config.stat().st_mode & 0o777 == 0
    files.write(serial=2, veto="", harm="", padding=0, how="rewrite")
    assert loaded(config).serial == 2


def test_what_was_begun_is_ended_by_mending(files: ActsOnFiles, config: Path):
    files.cut(pair=1, kept_open=True, serial=2, veto="", harm="", padding=0)
    files.mend()
    assert loaded(config).serial == 2
    files.rename_away(pair=2)
    files.mend()
    assert loaded(config).serial == 2


# ---- processes


class Victims:
    """Programs that wait, by role."""

    def __init__(self) -> None:
        self.started: dict[str, subprocess.Popen[bytes]] = {}
        for role in ("master", "owner", "worker"):
            self.start(role)

    def start(self, role: str) -> int:
        program = "import signal; signal.signal(signal.SIGHUP, lambda *_: None); print(flush=True); signal.pause()"
        program += "\nwhile True: signal.pause()"
        self.started[role] = subprocess.Popen([sys.executable, "-Sc", program], stdout=subprocess.PIPE)
        stream = self.started[role].stdout
        assert stream is not None
        stream.readline()
        return self.started[role].pid

    def processes(self) -> dict[str, list[int]]:
        return {role: [each.pid] for role, each in self.started.items() if each.poll() is None}

    def start_again(self, role: str) -> None:
        self.start(role)

    def pid(self, role: str) -> int:
        return self.started[role].pid

    def close(self) -> None:
        for each in self.started.values():
            each.kill()
            each.wait()
            assert each.stdout is not None
            each.stdout.close()


@pytest.fixture
def victims() -> Iterator[Victims]:
    with ExitStack() as ends:
        made = Victims()
        ends.callback(made.close)
        yield made


@pytest.fixture
def processes(victims: Victims, recorded: Recorded) -> ActsOnProcesses:
    return ActsOnProcesses(victims, recorded.recorder, lambda: 1)


@pytest.mark.parametrize("number", ["KILL", "TERM"])
def test_a_victim_is_killed_once_and_nobody_is_found_then(
    number: str, victims: Victims, processes: ActsOnProcesses, recorded: Recorded
):
    pid = victims.pid("worker")
    processes.kill("worker", 3, signal=number)
    assert victims.started["worker"].wait(DEADLINE) != 0
    processes.kill("worker", 3, signal=number)
    assert [(each.name, each.role, each.pid, each.ok) for each in recorded.acts()] == [
        ("kill", "worker", pid, True),
        ("kill", "worker", 0, False),
    ]


def test_who_is_stopped_twice_goes_on_with_the_second(victims: Victims, processes: ActsOnProcesses):
    pid = victims.pid("owner")
    processes.stop("owner", 0, pair=1)
    processes.stop("owner", 0, pair=2)
    await_stopped(pid)
    processes.go_on("owner", 0, pair=1)
    assert processes.is_stopped(pid)
    await_stopped(pid)
    processes.go_on("owner", 0, pair=2)
    assert not processes.is_stopped(pid)
    victims.started["owner"].terminate()
    assert victims.started["owner"].wait(DEADLINE) != 0


def test_each_hup_of_a_burst_is_a_call_without_an_answer(
    victims: Victims, processes: ActsOnProcesses, recorded: Recorded
):
    processes.hup("master", 0, count=3)
    told = [each for each in recorded.all() if isinstance(each, Call)]
    assert [(each.door, each.verb, each.answered) for each in told] == [("signal", "reload", False)] * 3
    assert victims.started["master"].poll() is None


def test_the_disk_of_an_owner_is_full_and_has_room_again(victims: Victims, processes: ActsOnProcesses):
    pid = victims.pid("owner")
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    processes.fill_disk("owner", 0, pair=1, limit=64)
    assert resource.prlimit(pid, resource.RLIMIT_FSIZE)[0] == 64
    processes.free_disk("owner", 0, pair=1)
    assert resource.prlimit(pid, resource.RLIMIT_FSIZE) == before


def test_nobody_is_hung_up_where_there_is_nobody(
    processes: ActsOnProcesses, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
):
    """To the system, a pid of 0 is the whole group: this very process, too."""
    monkeypatch.setattr(os, "kill", lambda pid, number: pytest.fail(f"{pid} got {number}"))
    processes.hup("gateway", 0, count=3)
    assert [each.ok for each in recorded.acts()] == [False]


def test_what_nobody_else_starts_again_is_started_unless_it_runs(victims: Victims, processes: ActsOnProcesses):
    processes.start_again("admin", 0)
    pid = victims.pid("admin")
    processes.start_again("admin", 0)
    assert victims.pid("admin") == pid


def test_all_goes_on_after_mending(victims: Victims, processes: ActsOnProcesses):
    processes.stop("owner", 0, pair=1)
    processes.fill_disk("owner", 0, pair=1, limit=64)
    processes.mend()
    assert resource.prlimit(victims.pid("owner"), resource.RLIMIT_FSIZE)[0] != 64
    victims.started["owner"].terminate()
    assert victims.started["owner"].wait(DEADLINE) != 0


# ---- storage


@pytest.fixture
def storage(tmp_path: Path, processes: ActsOnProcesses, recorded: Recorded) -> ActsOnStorage:
    state, runtime = tmp_path / "state", tmp_path / "runtime"
    state.mkdir()
    (runtime / "app").mkdir(parents=True)
    (runtime / "app" / SNAPSHOT).write_bytes(b"snapshot")
    for name in (JOURNAL, AHEAD, LOG):
        (state / name).write_bytes(b"whole" * 2000)
    return ActsOnStorage(runtime, state, processes, recorded.recorder)


@pytest.mark.parametrize(
    ("how", "torn"),
    [("cut_ahead", AHEAD), ("cut_log", LOG), ("lose_log", LOG), ("garbage", JOURNAL), ("delete", AHEAD)],
)
def test_a_journal_is_torn_while_no_owner_lives(
    how: str, torn: str, storage: ActsOnStorage, victims: Victims, tmp_path: Path, recorded: Recorded
):
    storage.tear_journal("owner", 0, how=how)
    assert not is_running(victims.pid("owner"))
    path = tmp_path / "state" / torn
    assert not path.exists() or path.read_bytes() != b"whole" * 2000
    (act,) = recorded.acts()
    assert (act.name, act.pid, act.arguments, act.ok) == ("tear_journal", victims.pid("owner"), {"how": how}, True)
    os.kill(victims.pid("master"), 15)  # which goes on
    eventually(lambda: not is_running(victims.pid("master")), "the master's end")


@pytest.mark.parametrize("first", ["snapshot", "folder", "journal"])
def test_of_journal_and_snapshot_file_one_is_always_left(
    first: str, storage: ActsOnStorage, victims: Victims, tmp_path: Path, recorded: Recorded
):
    storage.remove_files(which=first)
    if first == "journal":
        storage.remove_files(which="snapshot")
        storage.remove_files(which="folder")
        assert (tmp_path / "runtime" / "app" / SNAPSHOT).exists()
    else:
        storage.tear_journal("owner", 0, how="delete")
        storage.remove_files(which="journal")
        assert (tmp_path / "state" / JOURNAL).exists()
    assert [each.ok for each in recorded.acts()] == [True, False, False]


def test_nor_is_the_other_one_hurt_before_an_owner_has_made_the_first_anew(
    storage: ActsOnStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    storage.remove_files(which="journal")
    (tmp_path / "state" / JOURNAL).write_bytes(b"new")
    storage.remove_files(which="snapshot")
    assert (tmp_path / "runtime" / "app" / SNAPSHOT).exists()
    later = now() + 60.0
    monkeypatch.setattr("tests.torture.acts_on_storage.now", lambda: later)
    storage.remove_files(which="snapshot")
    assert not (tmp_path / "runtime" / "app" / SNAPSHOT).exists()


def test_a_whole_folder_is_removed_under_a_living_owner(storage: ActsOnStorage, victims: Victims, tmp_path: Path):
    storage.remove_files(which="folder")
    assert list((tmp_path / "runtime").iterdir()) == []
    assert is_running(victims.pid("owner"))


def test_the_probe_says_no_until_it_says_yes_or_all_is_mended(storage: ActsOnStorage, tmp_path: Path):
    def says() -> int:
        return subprocess.run(PROBE, cwd=tmp_path, check=False).returncode

    assert says() == 0
    storage.probe_says_no(pair=1)
    assert says() == 1
    storage.probe_says_yes(pair=1)
    assert says() == 0
    storage.probe_says_no(pair=2)
    storage.mend()
    storage.mend()
    assert says() == 0


_STUB = """
import os, pathlib, time
pathlib.Path(f"started-{os.getpid()}").touch()
print("http://127.0.0.1:1/", flush=True)
time.sleep(60)
"""


def test_who_is_started_again_twice_at_once_is_there_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Else nobody ends the first one, which keeps the port, and outlives the site."""
    (tmp_path / "stub_admin.py").write_text(_STUB.replace('f"started-', f'"{tmp_path}/started-" f"'))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    server = AdminServer(tmp_path, program=("stub_admin",)).start()
    try:
        os.kill(server.pid, signal.SIGKILL)
        eventually(lambda: not server.is_running, "its end")
        ready = threading.Barrier(2)
        threads = [threading.Thread(target=lambda: (ready.wait(), server.start_again())) for _ in "12"]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(list(tmp_path.glob("started-*"))) == 2, "the one that was killed, and the next"
    finally:
        server.close()


class Stubborn(Served):
    """Serves, and nobody takes its place."""

    def command(self, *arguments: str) -> list[str]:
        says = "import sys, time; '--take-over' in sys.argv and sys.exit(1); print('serving version', flush=True)"
        return [sys.executable, "-c", f"{says}; time.sleep(60)", *arguments]


def test_who_was_not_taken_over_is_the_master_still(tmp_path: Path):
    """Else nothing is done to it any more, and a command that names the other's pid finds nobody."""
    server = Stubborn(tmp_path / "site", workers=0, options=[])
    try:
        server.launch()
        eventually(lambda: "serving version" in server.log(), "that it serves")
        before = server.pid
        server.start_again()
        assert (server.pid, server.masters(), server.roots()) == (before, [before], [before])
    finally:
        server.end()
