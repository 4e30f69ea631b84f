"""Run-time folders: whose they are, and which of them are meant."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from confcast.wire import processes
from confcast.wire.files import about, owner_dirs
from confcast.wire.files.about import About
from confcast.wire.files.owner_dirs import HANDOVER, OwnerDir
from confcast.wire.listener import FRESH, SOCKET
from tests.support.interning import interned

Make = Callable[..., OwnerDir]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes folders of living masters, in places that are looked at."""
    monkeypatch.setattr(owner_dirs, "candidates", lambda: iter(sorted(tmp_path.iterdir())))

    def make_one(name: str = "app", started_in: str = "", place: str = "run") -> OwnerDir:
        base = tmp_path / place
        base.mkdir(exist_ok=True)
        me = os.getpid()
        number = len(list(base.iterdir()))
        folder = base / f"confcast-{owner_dirs.label(name)}-{me}-{processes.started(me)}.{number}"
        folder.mkdir()
        if started_in:
            about.save(folder, About(name, "s:S", "S", "", [], started_in, "python -m gunicorn"))
        found = owner_dirs.parse(folder)
        assert found is not None
        return found

    return make_one


def test_a_folder_s_name_has_its_configuration_and_its_master() -> None:
    folder = Path("/run/confcast-my-app-12-34.xyz")
    assert owner_dirs.parse(folder) == OwnerDir(folder, "my-app", 12, 34)
    assert owner_dirs.parse(Path("/run/confcast-app-12-xyz")) == (Path("/run/confcast-app-12-xyz"), "app", 12, 0)
    assert owner_dirs.parse(Path("/run/other-app-12-xyz")) is None


def test_one_that_is_left_is_not_meant(make: Make) -> None:
    old, new = make(), make()
    (old.path / HANDOVER).touch()
    assert owner_dirs.meant("app", owner_dirs.living()) == [new]
    assert owner_dirs.meant("other", owner_dirs.living()) == []


def test_of_several_the_one_that_was_started_here_is_meant(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir()
    b.mkdir()
    one, two, three = make(started_in=str(a)), make(started_in=str(b)), make(started_in="/gone")
    assert owner_dirs.meant("app", owner_dirs.living()) == [one, two, three]
    monkeypatch.chdir(b)
    assert owner_dirs.meant("app", owner_dirs.living()) == [two]
    assert owner_dirs.meant(None, owner_dirs.living()) == [two]
    another = make(started_in=str(b))
    assert owner_dirs.meant("app", owner_dirs.living()) == [one, two, three, another]


def test_the_only_one_is_meant_wherever_it_was_started(make: Make) -> None:
    assert owner_dirs.meant("app", [one := make(started_in="/elsewhere")]) == [one]


def test_a_place_that_is_named_comes_before_where_the_master_was_started(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make(started_in=str(tmp_path))
    named = make(started_in="/elsewhere", place="service")
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "service"))
    assert owner_dirs.meant("app", owner_dirs.living()) == [named]


def test_where_nothing_is_written_the_process_is_looked_at(make: Make) -> None:
    found = make()
    assert found.started_in() == str(Path.cwd())
    assert found.command() == processes.command(os.getpid())


def test_a_user_that_makes_many_folders_gets_no_more_attention(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner_dirs, "MOST", 2)
    assert [make(), make(), make()][:2] == owner_dirs.living()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_folder_of_root_s_is_for_the_user_that_its_socket_was_given_to(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, others = make(), make()
    for folder, uid in ((found, 65534), (others, 65533)):
        Path(folder.address).touch()
        os.chown(folder.address, uid, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 65534)

    assert owner_dirs.living() == [found]
    assert list(owner_dirs.mine()) == []
    assert owner_dirs.of_other_users() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_believes_a_name_only_of_the_user_whose_process_it_names(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody may give a folder of his the pid of somebody else's server."""
    found, forged = make(), make(place="forged")
    os.chown(found.path, 65534, -1)
    os.chown(forged.path, 65533, -1)
    monkeypatch.setattr(processes, "user_of", lambda pid: 65534)
    monkeypatch.setattr(owner_dirs, "_LISTENING", tmp_path / "none")

    assert owner_dirs.of_other_users() == [found]
    assert owner_dirs.living() == []


def test_where_an_owner_listens_is_read_from_the_kernel_s_list(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = tmp_path / "unix"
    folder = Path("/somewhere/confcast-app-12-34.x y")
    listed.write_text(
        "Num       RefCount Protocol Flags    Type St Inode Path\n"
        f"0000: 00000002 00000000 00010000 0001 01 1 {folder}/{FRESH}\n"
        "0000: 00000002 00000000 00010000 0001 01 2\n"
        f"0000: 00000002 00000000 00010000 0001 01 3 /run/x/{SOCKET}\n"
    )
    monkeypatch.setattr(owner_dirs, "_LISTENING", listed)
    assert [found.path for found in owner_dirs._listening()] == [folder]


def test_of_the_sockets_of_other_programs_the_interpreter_keeps_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = tmp_path / "unix"
    lines = (f"0000: 00000002 00000000 00010000 0001 01 {each} /run/x{each}/{SOCKET}\n" for each in range(3))
    listed.write_text("".join(lines))
    monkeypatch.setattr(owner_dirs, "_LISTENING", listed)
    kept = interned(monkeypatch)

    assert list(owner_dirs._listening()) == []

    assert kept == []


@pytest.mark.parametrize("told", [".", "app", "\0", "/nowhere/at/all"])
def test_what_is_no_place_is_not_here(told: str, make: Make) -> None:
    """An owner may write there what it likes."""
    assert not owner_dirs.is_here(make(started_in=told))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's folder")
def test_another_users_folder_is_not_believed_about_where_its_server_was_started(make: Make) -> None:
    """Any user could have root's command line ask an owner of theirs."""
    found = make(started_in="/srv/of/another")
    os.chown(found.path, 65534, 65534)

    assert found.started_in() == processes.working_directory(os.getpid())
    assert "gunicorn" not in found.command()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make folders of root's")
def test_a_folder_of_root_s_is_believed_by_the_user_of_its_workers(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who can't look at a process of root's has no other word about where that was started."""
    here, elsewhere = make(started_in=str(tmp_path)), make(started_in="/elsewhere")
    for each in (here, elsewhere):
        Path(each.address).touch()
        os.chown(each.address, 65534, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    monkeypatch.setattr(processes, "working_directory", lambda pid: "")
    monkeypatch.chdir(tmp_path)

    assert owner_dirs.meant("app", owner_dirs.living()) == [here]
    assert (here.started_in(), here.command()) == (str(tmp_path), "python -m gunicorn")


def test_one_of_many_is_found_by_its_name(make: Make) -> None:
    for number in range(owner_dirs.MOST):
        make(f"a{number}")
    last = make("zeta")
    assert last not in owner_dirs.living()
    assert owner_dirs.living(name="zeta") == [last]


def test_a_place_with_two_names_is_looked_at_once(make: Make, tmp_path: Path) -> None:
    only = make()
    (tmp_path / "sun").symlink_to("run")
    assert owner_dirs.living() == [only]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's folder")
def test_a_folder_that_listens_under_another_name_of_its_place_is_found_once(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `/var/run` is one of `/run`."""
    only = make()
    os.chown(only.path, 65534, -1)
    (tmp_path / "var").symlink_to("run")
    (listed := tmp_path / "unix").write_text(
        f"0000: 00000002 00000000 00010000 0001 01 1 {tmp_path}/var/{only.path.name}/{FRESH}\n"
    )
    monkeypatch.setattr(processes, "user_of", lambda pid: 65534)
    monkeypatch.setattr(owner_dirs, "candidates", lambda: iter([tmp_path / "run"]))
    monkeypatch.setattr(owner_dirs, "_LISTENING", listed)

    assert owner_dirs.of_other_users() == [only]


def test_a_place_is_named_by_any_of_its_names(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(place="elsewhere")
    there = make()
    (tmp_path / "var").symlink_to("run")
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "var"))
    monkeypatch.delenv("CONFCAST_RUNTIME_DIR", raising=False)
    found = owner_dirs.living()

    assert owner_dirs.in_named_places(found) == owner_dirs.meant(None, found) == [there]
