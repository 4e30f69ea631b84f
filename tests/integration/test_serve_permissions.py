"""Who may attach to a `confcast serve`: its own user, another one that is named, and the members of a group."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

import confcast.worker.connection.attachment  # noqa: F401 - a child of another user may not be able to read it any more
from confcast import Client, ConfcastError, Replica
from confcast.serve.address_link import AddressRefused
from confcast.serve.permissions import LetIn, check_way, let_in, of_socket
from confcast.wire.files import goodbye_files, lasting_address
from tests.support.forking import holds_in_child
from tests.support.served import Serves
from tests.support.settings import Settings
from tests.support.stopping import stop
from tests.support.waiting import DEADLINE

GROUP, ONE, OTHER, STRANGER = 64100, 64101, 64102, 64103

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def as_user(uid: int, gid: int, groups: list[int], condition: Callable[[], bool]) -> bool:
    """Whether it holds in a process of this user and these groups."""

    def become_and_ask() -> bool:
        os.setgroups(groups)
        os.setgid(gid)
        os.setuid(uid)
        return condition()

    return holds_in_child(become_and_ask)


@as_root
def test_members_of_the_group_attach_vote_and_leave_notes_and_strangers_are_refused(serve: Serves) -> None:
    first, address = serve("--group", str(GROUP)), str(serve.address)
    folder = lasting_address.folder_of(address)

    def kind(path: Path) -> tuple[int, int, int]:
        status = path.lstat()
        return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)

    assert kind(folder) == (0, GROUP, 0o710)
    kinds = {path.name: kind(path) for path in folder.iterdir()}
    assert kinds.pop("control.sock") == (0, GROUP, 0o660)
    assert kinds.pop("notes") == (0, GROUP, 0o1730)
    assert {kinds.pop(name) for name in ("snapshot", "about")} == {(0, GROUP, 0o640)}
    assert {each[2] for each in kinds.values()} == {0o600}

    def attaches() -> bool:
        replica = Replica(Settings).attach(address)
        event = replica.set({"name": "two"})
        assert event.who is not None
        return bool(event) and event.applied == [os.getpid()] and event.who.uid == os.getuid()

    assert as_user(ONE, ONE, [GROUP], attaches)
    assert Client(address=address).unset(["name"])
    assert as_user(OTHER, GROUP, [], attaches)

    def is_refused() -> bool:
        try:
            Client(address=address).get_stats()
        except ConfcastError as error:
            return f"this user (uid {STRANGER}) may not ask" in str(error)
        return False

    assert as_user(STRANGER, STRANGER, [], is_refused)

    owner = Client(address=address).get_stats()["owner_pid"]
    stop(owner)  # no owner answers: the snapshot file does, and a note stays

    def starts_without() -> bool:
        replica = Replica(Settings).attach(address, timeout=DEADLINE)
        noted = goodbye_files.read(folder, "here", shared=True) if os.getuid() == 0 else set()
        replica._provider._link._stop.set()  # type: ignore[union-attr]  # it dies without a word
        return replica.latest.name == "two" and not noted

    assert as_user(ONE, ONE, [GROUP], starts_without)
    os.kill(owner, signal.SIGCONT)
    assert first.end() == 0


@as_root
def test_a_note_of_another_user_about_this_process_is_not_believed(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    goodbye_files.make_folder(tmp_path, -1, GROUP, shared=True)
    goodbye_files.write(tmp_path, "left")
    me = goodbye_files.read(tmp_path, "left", shared=True)
    assert len(me) == 1
    (note,) = (tmp_path / "notes").iterdir()

    def can_be_removed() -> bool:
        try:
            note.unlink()
        except PermissionError:
            return False
        return True

    assert not as_user(ONE, ONE, [GROUP], can_be_removed)
    os.chown(note, ONE, -1)
    assert goodbye_files.read(tmp_path, "left", shared=True) == set()


@pytest.mark.slow
@as_root
def test_another_user_that_is_named_attaches(serve: Serves) -> None:
    serve("--user", str(ONE))
    address = str(serve.address)
    assert as_user(ONE, ONE, [], lambda: Replica(Settings).attach(address).latest.number == 1)


@pytest.mark.parametrize(
    ("user", "group", "mode", "words"),
    [
        (None, None, "0660", "say which one by --group"),
        (None, "0", "0600", "lets no group in"),
        ("no-such-user-here", None, None, "there is no such user"),
        (None, "no-such-group-here", None, "there is no such group"),
    ],
)
def test_options_that_do_not_fit_are_said_in_words(
    user: str | None, group: str | None, mode: str | None, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        let_in(user, group, mode)


def test_who_is_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert let_in(None, None, None).is_nobody_else
    assert let_in(str(os.geteuid()), None, None).is_nobody_else
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert let_in(None, "64100", None) == LetIn(-1, 64100, True)
    assert let_in("64101", None, None) == LetIn(64101, 64101, False)
    assert let_in("64101", "64100", "0600") == LetIn(64101, 64100, False)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    monkeypatch.setattr(os, "getgroups", lambda: [64100])
    assert let_in(None, "64100", "0660") == LetIn(-1, 64100, True)
    with pytest.raises(AddressRefused, match=r"is not in it"):
        let_in(None, "64102", None)
    with pytest.raises(AddressRefused, match="only root can let another user in"):
        let_in("64101", None, None)


def test_a_way_that_is_closed_to_them_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (closed := tmp_path / "closed").mkdir(0o700)
    check_way(closed / "c.sock", LetIn())
    with pytest.raises(AddressRefused, match="can't enter /"):
        check_way(closed / "c.sock", LetIn(-1, 64100, True))
    monkeypatch.setattr("confcast.master.folders.barrier_to", lambda folder, uid, gid: None)
    closed.chmod(0o1777)
    monkeypatch.setattr(os, "geteuid", lambda: closed.stat().st_uid + 1)
    with pytest.raises(AddressRefused, match="lets no other user follow a link"):
        check_way(closed / "c.sock", LetIn(-1, 64100, True))


@as_root
def test_a_passed_sockets_own_mode_says_who_is_let_in(tmp_path: Path, runtime_folder: Path) -> None:
    (path := tmp_path / "s").touch(0o600)
    assert of_socket(path).is_nobody_else
    os.chown(path, 0, GROUP)
    path.chmod(0o660)
    assert of_socket(path) == LetIn(-1, GROUP, True)
    os.chown(path, ONE, GROUP)
    path.chmod(0o600)
    assert of_socket(path) == LetIn(ONE, GROUP, False)

    path = as_others_see_it(runtime_folder)
    os.chown(path, ONE, GROUP)
    assert as_user(STRANGER, STRANGER, [], lambda: words_of(path).startswith(f"another user (uid {ONE})"))
    os.chown(path, 0, GROUP)
    path.chmod(0o666)
    assert as_user(STRANGER, STRANGER, [], lambda: words_of(path).startswith(f"another group (gid {GROUP})"))
    assert as_user(ONE, ONE, [GROUP], lambda: of_socket(path) == LetIn(-1, GROUP, True))
    path.unlink()


def as_others_see_it(folder: Path) -> Path:
    """A file in this folder, which everybody may enter."""
    folder.chmod(0o755)
    (path := folder / "s").touch(0o600)
    return path


def words_of(path: Path) -> str:
    """Why this user can't let in whom the socket is for: only root gives files to others."""
    with pytest.raises(AddressRefused, match="SocketUser=") as raised:
        of_socket(path)
    return str(raised.value).partition(" is for ")[2]
