"""Run-time folders: where they are made, how they are named, and which are taken away."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast.errors import ConfcastError
from confcast.master import folders
from confcast.wire import processes
from confcast.wire.files import owner_dirs
from confcast.wire.listener import FRESH, MAX_PATH, SOCKET, listen

SHARED = Path("/dev/shm")
VARIABLES = ("CONFCAST_RUNTIME_DIR", "RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR")


CANDIDATES = owner_dirs.candidates


@pytest.fixture(autouse=True)
def bases(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Path]]:
    """The folders that the variables name, with one in the place of /dev/shm: other servers than the tests' live there.

    Not in tmp_path: a socket's path has room for 107 bytes.
    """
    tmp_path_factory.getbasetemp()  # before the temporary directory is one that will be gone
    with tempfile.TemporaryDirectory(prefix="cc-") as parent:
        made = [Path(parent, str(number)) for number in range(len(VARIABLES))]
        for variable, base in zip(VARIABLES, made, strict=True):
            base.mkdir()
            monkeypatch.setenv(variable, str(base))
        monkeypatch.setenv("TMPDIR", str(made[0]))
        shared = Path(parent, "shared")
        shared.mkdir()
        own = lambda: (shared if base == SHARED else base for base in CANDIDATES())  # noqa: E731
        monkeypatch.setattr(owner_dirs, "candidates", own)
        yield made


def a_dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_the_candidates_come_in_their_order(bases: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(CANDIDATES()) == [*bases, SHARED, bases[0]]
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{bases[1]}:/run/other")
    assert list(CANDIDATES())[1] == bases[1]
    monkeypatch.setenv("XDG_RUNTIME_DIR", "")
    assert list(CANDIDATES()) == [*bases[:2], SHARED, bases[0]]


def test_a_folder_is_made_for_this_user_alone_in_the_first_that_works(bases: list[Path]) -> None:
    bases[0].rmdir()
    made = folders.make("app")

    assert made.parent == bases[1]
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert made.name.startswith(f"confcast-app-{os.getpid()}-")
    assert owner_dirs.is_of_a_living_master(made)
    assert not owner_dirs.is_of_a_living_master(made.with_name(f"app-{os.getpid()}-x"))
    made.rmdir()
    assert not owner_dirs.is_of_a_living_master(made)


def test_a_relative_base_gives_an_address_that_holds_in_every_folder(
    bases: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bases[0].parent)
    monkeypatch.setenv("CONFCAST_RUNTIME_DIR", "0")

    assert folders.make("app").is_absolute()


def test_a_base_whose_sockets_paths_would_be_too_long_is_passed_over(
    tmp_path: Path, bases: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * MAX_PATH)
    long.mkdir()
    monkeypatch.setenv("CONFCAST_RUNTIME_DIR", str(long))

    assert folders.make("app").parent == bases[1]
    assert list(long.iterdir()) == []


def test_one_that_is_named_for_this_server_is_not_passed_over_silently(
    bases: list[Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for base in bases:
        base.rmdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", "")

    folders.remove(folders.make("app"))

    assert [record.getMessage() for record in caplog.records] == [
        f"no run-time folder in {bases[0]}, which is named for it: No such file or directory; others are tried"
    ]


def test_in_what_is_made_a_socket_fits(bases: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    made = folders.make("app")
    room = MAX_PATH - len(os.fsencode(made)) - len(f"/.{SOCKET}") - 1
    longest = bases[0] / ("x" * room)
    longest.mkdir()
    monkeypatch.setenv("CONFCAST_RUNTIME_DIR", str(longest))
    made = folders.make("app")
    assert made.parent == longest

    listen(made / SOCKET).close()


def test_where_none_works_each_is_named_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner_dirs, "candidates", lambda: iter([Path("/nowhere"), Path("/x" * MAX_PATH)]))

    with pytest.raises(ConfcastError, match=r"tried /nowhere \(No such file or directory\), /x"):
        folders.make("app")


@pytest.mark.parametrize("name", ["app", "a/b c", "..", "ünïcode", "x" * 100, "with-dash-7-x"])
def test_any_name_gives_a_folder_that_is_known_again(name: str) -> None:
    made = folders.make(name)

    assert (owner_dirs.label(name), os.getpid(), made) in [found[1:3] + found[:1] for found in owner_dirs.living()]
    assert len(owner_dirs.label(name)) <= 24


def test_only_what_dead_masters_left_is_swept(bases: list[Path]) -> None:
    dead = a_dead_pid()
    living = folders.make("app")
    gone = [bases[number] / f"confcast-app-{dead}-abc" for number in range(2)]
    kept = [bases[0] / f"confcast-{dead}", bases[0] / f"other-app-{dead}-abc", bases[1] / f"confcast-file-{dead}-abc"]
    for folder in (*gone, *kept[:2]):
        folder.mkdir()
        (folder / "journal").touch()
    kept[2].touch()
    link = bases[2] / f"confcast-link-{dead}-abc"
    link.symlink_to(living)

    folders.sweep()

    assert [path.exists() for path in gone] == [False, False]
    assert all(path.exists() for path in (living, link, *kept))
    assert [found.path for found in owner_dirs.living() if found.path.parent in bases] == [living]


def test_what_an_owner_listens_in_is_not_swept_though_its_master_can_not_be_seen(bases: list[Path]) -> None:
    """Two containers of a pod share a folder, and have process ids of their own."""
    folder = bases[0] / f"confcast-app-{os.getpid()}-{processes.started(os.getpid()) - 1}.abc"
    folder.mkdir()
    owner = listen(folder / SOCKET)
    try:
        folders.sweep()
        assert folder.exists()
    finally:
        owner.close()
    folders.sweep()
    assert not folder.exists()


def test_a_folder_of_another_user_is_none_of_ours(bases: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bases[0] / f"confcast-app-{a_dead_pid()}-abc"
    folder.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)

    folders.sweep()

    assert folder.exists()


def test_a_folder_with_a_number_that_no_process_can_have_is_swept(bases: list[Path]) -> None:
    folder = bases[0] / f"confcast-app-{10**20}-abc"
    folder.mkdir()

    folders.sweep()

    assert not folder.exists()


def test_what_an_earlier_process_of_the_same_pid_has_left_is_swept(bases: list[Path]) -> None:
    """In a container every master is process 1, and so is the one that follows when it was killed."""
    living, others = folders.make("app"), folders.make("other")
    left = bases[0] / f"confcast-app-{os.getpid()}-{processes.started(os.getpid()) - 1}.abc"
    left.mkdir()

    assert not owner_dirs.is_of_a_living_master(left)
    assert {found.path for found in owner_dirs.living()} == {living, others}
    folders.sweep()

    assert set(bases[0].iterdir()) == {living, others}


def test_what_this_process_has_made_as_another_program_is_swept(bases: list[Path]) -> None:
    """`exec` keeps the pid and the start time of a process, and nobody else could take it away while that lives."""
    mine = folders.make("app")
    former = bases[0] / f"confcast-app-{os.getpid()}-{processes.started(os.getpid())}.0123abcd"
    former.mkdir()
    assert folders.is_of_a_former_program(f"{former}/{SOCKET}")
    assert not folders.is_of_a_former_program(f"{mine}/{SOCKET}")
    assert not folders.is_of_a_former_program("app")

    folders.sweep()

    assert (mine.exists(), former.exists()) == (True, False)


def test_an_owner_that_lives_on_is_of_another_interpreter_in_this_process(
    bases: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_EXIT_TIMEOUT", 0.01)
    others = bases[0] / f"confcast-app-{os.getpid()}-{processes.started(os.getpid())}.0123abcd"
    others.mkdir()
    with listen(others / SOCKET) as owner:
        assert not folders.is_of_a_former_program(owner.getsockname().replace(FRESH, SOCKET))
        folders.sweep()
        assert others.exists()


def test_where_there_is_no_temporary_directory_the_others_are_tried(
    bases: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only root has none."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert list(CANDIDATES()) == [*bases, SHARED]
    folders.sweep()
    assert folders.make("app").parent == bases[0]


def test_the_temporary_directory_is_that_of_python(bases: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that were told where temporary files go find each other there, whichever variable tells them."""
    monkeypatch.setattr(tempfile, "tempdir", None)  # what was found earlier in this process
    for variable in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in [("TMP", bases[1]), ("TEMP", bases[0]), ("TMPDIR", bases[1] / "missing")]:
        monkeypatch.setenv(variable, str(value))
        monkeypatch.setattr(tempfile, "tempdir", None)
        assert list(CANDIDATES())[-1] == Path(tempfile.gettempdir())
    assert list(CANDIDATES())[-1] == bases[0]


def test_a_folder_that_workers_of_another_user_can_not_enter_is_passed_over_and_that_is_said(
    bases: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    uid, gid = os.geteuid() + 1, os.getegid() + 1
    bases[0].parent.chmod(0o711)
    bases[0].chmod(0o710)
    bases[1].chmod(0o711)

    assert folders.make("app", (uid, gid)).parent == bases[1]
    assert [record.message for record in caplog.records] == [
        f"no run-time folder in {bases[0]}: the workers' user (uid {uid}) can't enter {bases[0]}"
    ]
    assert folders.make("app", (uid, bases[0].stat().st_gid)).parent == bases[0]
    assert folders.make("app", (os.geteuid(), gid)).parent == bases[0]


def test_a_folder_on_the_way_counts_too(bases: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    bases[0].parent.chmod(0o700)
    monkeypatch.setattr(owner_dirs, "candidates", lambda: iter(bases))

    with pytest.raises(ConfcastError, match=f"workers' user can't enter {bases[0].parent}"):
        folders.make("app", (os.geteuid() + 1, os.getegid() + 1))


@pytest.mark.parametrize("umask", [0o177, 0o777])
def test_whatever_the_umask_is_files_can_be_made_in_it(umask: int, bases: list[Path]) -> None:
    before = os.umask(umask)
    try:
        made = folders.make("app")
    finally:
        os.umask(before)

    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_a_base_beyond_this_user_s_reach_is_passed_over(bases: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a `su` that keeps root's XDG_RUNTIME_DIR; pathlib raises it before Python 3.13."""
    glob = Path.glob

    def refuse(path: Path, pattern: str) -> Iterator[Path]:
        if path == bases[0]:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return glob(path, pattern)

    monkeypatch.setattr(Path, "glob", refuse)
    made = bases[1] / f"confcast-app-{os.getpid()}-x"
    made.mkdir()

    folders.sweep()

    assert made in [found.path for found in owner_dirs.living()]
