"""Workers that run as another user than their master are let in, and strangers are not; nothing more is theirs."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import confcast.worker.connection.attachment  # noqa: F401 - a child of another user may not be able to read it any more
from confcast import ConfigLoader, File, Replica, cli
from confcast.master.embedded import EmbeddedManager
from confcast.worker.client.owner_client import OwnerClient
from tests.support.fixtures import Manager
from tests.support.forking import holds_in_child
from tests.support.settings import SCHEMA, Settings, text, write
from tests.support.stopping import stop
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

NOBODY, NOGROUP = 65534, 65534
STRANGER = 65533


@pytest.fixture
def manager(config: Path, runtime_folder: Path, nothing_is_left: None) -> Iterator[Manager]:
    """Its workers are nobody's."""
    runtime_folder.chmod(0o711)
    manager: Manager = EmbeddedManager(
        ConfigLoader(SCHEMA, File(config, includes="include")), watch=False, vote_timeout=10.0
    )
    manager.workers_run_as(NOBODY, NOGROUP)
    with manager:
        yield manager


def as_user(uid: int, gid: int, condition: Callable[[], bool]) -> bool:
    """Whether it holds in a process of this user."""

    def become_and_ask() -> bool:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        return condition()

    return holds_in_child(become_and_ask)


def attaches(manager: Manager, number: int) -> bool:
    """Whether a worker attaches, and has this number."""
    address = manager.address
    return as_user(NOBODY, NOGROUP, lambda: Replica(Settings).attach(address).latest.number == number)


def test_a_worker_attaches_votes_and_asks(manager: Manager, config: Path):
    address = manager.address

    def reload() -> bool:
        replica = Replica(Settings).attach(address)
        event = replica.reload()
        return event.result == "success" and event.applied == [os.getpid()] and replica.latest.number == 2

    write(config, 2)
    assert as_user(NOBODY, NOGROUP, reload)
    assert manager.get_event_history(1)[0].lagging == []


def test_only_what_a_worker_opens_is_its_users(manager: Manager):
    folder = Path(manager.address).parent

    def kind(path: Path) -> tuple[int, int]:
        status = path.lstat()
        return status.st_uid, stat.S_IMODE(status.st_mode)

    assert (folder.stat().st_gid, *kind(folder)) == (NOGROUP, 0, 0o710)
    owned = {path.name: kind(path) for path in folder.iterdir()}
    assert {owned.pop(name) for name in ("control.sock", "snapshot", "about")} == {(NOBODY, 0o600)}
    assert owned.pop("notes") == (NOBODY, 0o700)
    assert {"journal", "lock"} <= set(owned)
    assert set(owned.values()) == {(0, 0o600)}


@pytest.mark.parametrize("gid", [NOGROUP, STRANGER])
def test_a_stranger_is_not_let_in(manager: Manager, gid: int):
    address = manager.address

    def is_refused(act: Callable[[], object]) -> bool:
        try:
            act()
        except PermissionError:
            return True
        return False

    def connects_in_vain() -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            return is_refused(lambda: connection.connect(address))

    assert as_user(STRANGER, gid, connects_in_vain)
    for name in ("snapshot", "journal"):
        assert as_user(STRANGER, gid, lambda name=name: is_refused(Path(address).with_name(name).read_bytes))


def test_a_worker_can_t_have_the_owner_read_what_it_may_not_read_itself(manager: Manager, config: Path):
    """By a text that it gives for a dry run, of which it would see the outcome. Who may read the file may try it."""
    (private := config.with_name("private.toml")).write_text(text(7))
    private.chmod(0o600)
    given, address = {config.name: f'include = "{private}"\n'.encode()}, manager.address

    def asks_in_vain() -> bool:
        event = OwnerClient(address, "app").check_contents({}, given)
        return not event and "is not named by the sources now" in str(event.problems[0]) and not event.changes

    assert as_user(NOBODY, NOGROUP, asks_in_vain)
    event = OwnerClient(address, "app").check_contents({}, given)
    assert {each.key: each.new for each in event.changes} == {"number": 7, "twin": 7}


def test_a_worker_can_t_have_the_owner_read_a_file_by_its_path(
    tmp_path: Path, runtime_folder: Path, nothing_is_left: None
) -> None:
    """Whoever sets the path of a `Watched` field hears that there is such a file, and workers get a digest of it."""
    runtime_folder.chmod(0o711)
    (certificate := tmp_path / "certificate.pem").write_text("public")
    (private := tmp_path / "private").write_text("0000")
    (config := tmp_path / "app.toml").write_text(f"[tls]\ncertificate = '{certificate}'\n")
    manager = EmbeddedManager(ConfigLoader("tests.support.certified:Certified", config), watch=False, vote_timeout=10.0)
    manager.workers_run_as(NOBODY, NOGROUP)
    with manager:
        address = manager.address

        def sets_in_vain(path: Path) -> bool:
            client = OwnerClient(address, "app")
            events = [client.set({"tls.key": str(path)}), client.check(values={"tls": {"key": str(path)}})]
            events.append(client.check_contents({}, {"app.toml": f"[tls]\ncertificate = '{path}'\n".encode()}))
            return ["the file is not named by the sources now" in str(event.problems[0]) for event in events] == [
                True
            ] * 3

        assert as_user(NOBODY, NOGROUP, lambda: sets_in_vain(private))
        assert as_user(NOBODY, NOGROUP, lambda: sets_in_vain(tmp_path / "there is no such file"))
        assert as_user(NOBODY, NOGROUP, lambda: bool(OwnerClient(address, "app").set({"tls.key": str(certificate)})))
        assert OwnerClient(address, "app").set({"tls.key": str(private)})


@pytest.mark.parametrize(("uid", "gid", "status"), [(NOBODY, NOGROUP, 0), (STRANGER, NOGROUP, 3), (STRANGER, 1, 3)])
def test_the_command_line_is_for_the_workers_user_too_and_refuses_others_with_the_reason(
    manager: Manager, capfd: pytest.CaptureFixture[str], uid: int, gid: int, status: int
):
    arguments = ["status", "--address", manager.address]

    assert as_user(uid, gid, lambda: cli.main(arguments) == status)

    refused = f"this user (uid {uid}) may not ask the config owner at {manager.address}"
    assert (refused in capfd.readouterr().err) is (status != 0)


def test_an_address_in_a_place_that_is_closed_to_this_user_is_not_taken_for_none(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (closed := tmp_path / "closed").mkdir(0o700)
    monkeypatch.setattr(Path, "is_socket", lambda path: False)  # so Python 3.14 says of what may not be looked at
    arguments = ["status", "--address", str(closed / "control.sock")]

    assert as_user(NOBODY, NOGROUP, lambda: cli.main(arguments) == 3)

    assert f"this user (uid {NOBODY}) may not ask the config owner at {closed}" in capfd.readouterr().err


def test_a_worker_starts_on_the_snapshot_file_while_no_owner_answers(manager: Manager):
    stop(manager.owner_pid)
    try:
        assert attaches(manager, 1)
    finally:
        os.kill(manager.owner_pid, signal.SIGCONT)


def test_a_new_owner_lets_it_in(manager: Manager, config: Path):
    os.kill(manager.owner_pid, signal.SIGKILL)
    write(config, 2)
    assert manager.reload()

    assert attaches(manager, 2)


def test_a_folder_that_was_made_anew_lets_it_in(manager: Manager, config: Path):
    shutil.rmtree(Path(manager.address).parent)
    write(config, 2)
    os.kill(manager.owner_pid, signal.SIGHUP)  # by the socket it can't be asked now

    def is_back() -> bool:
        return Path(manager.address).with_name("snapshot").exists() and attaches(manager, 2)

    eventually(is_back, "a folder that workers can use")
