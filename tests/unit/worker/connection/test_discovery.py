"""Where the next owner is looked for, by what is left of the former one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from confcast.errors import ConfcastError
from confcast.wire import processes
from confcast.wire.files import about, owner_dirs
from confcast.wire.files.about import About
from confcast.wire.files.lasting_address import FORMER
from confcast.wire.files.owner_dirs import HANDOVER
from confcast.worker.connection import discovery
from confcast.worker.connection.discovery import OwnerFinder

DEAD, ME = 2**22 + 1, 2**22 + 2  # above the largest pid that there can be
Make = Callable[..., str]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes folders, and gives the addresses in them. The master is some living process that is no parent of this."""
    monkeypatch.setattr(owner_dirs, "candidates", lambda: iter([tmp_path]))
    stranger = os.getpid()
    monkeypatch.setattr(processes, "parents", lambda pid: iter([os.getppid()]))
    monkeypatch.setattr(os, "getpid", lambda: ME)

    def make_one(
        name: str = "app",
        master: int = stranger,
        loads: str = "File /srv/app.toml",
        where: str = "/srv",
        told: str = "app",
        more: tuple[str, ...] = (),
    ) -> str:
        number = len(list(tmp_path.iterdir()))
        folder = tmp_path / f"confcast-{owner_dirs.label(name)}-{master}-{processes.started(master)}.{number:03}"
        folder.mkdir()
        if told:
            about.save(folder, About(told, "s:S", "S", "", [loads, *more], where, ""))
        return f"{folder}/control.sock"

    yield make_one
    discovery._known.clear()


def attached(address: str, given: str = "") -> OwnerFinder:
    """To an owner that has answered."""
    where = OwnerFinder("app", given or address)
    where.move(address)
    where.remember(address)
    return where


def gone(address: str) -> None:
    shutil.rmtree(Path(address).parent)


def left(address: str) -> None:
    (Path(address).parent / HANDOVER).touch()


def test_while_its_folder_is_there_and_its_master_lives_the_address_is_the_one(make: Make) -> None:
    where = attached(here := make())
    make()
    assert where.beside
    assert (where.find(), where.trouble()) == (here, "")


def test_a_foreign_path_is_connected_to_whatever_is_there(make: Make) -> None:
    make()
    assert OwnerFinder("app", "/nowhere/sock").find() == "/nowhere/sock"


def test_the_same_master_s_newer_generation_comes_first(make: Make) -> None:
    where = attached(old := make())
    make(master=os.getppid())
    new = make(loads="File /etc/other.toml", where="/elsewhere")
    left(old)
    assert where.find() == new


def test_a_left_owner_without_a_next_one_is_still_the_one(make: Make) -> None:
    where = attached(old := make())
    left(old)
    assert where.find() == old


@pytest.mark.parametrize("gap", [0, 1, 2])
def test_without_its_master_what_loads_the_same_comes_before_what_is_in_the_same_place(gap: int, make: Make) -> None:
    where = attached(old := make(master=DEAD))
    gone(old)
    make(loads="File /etc/other.toml", where="/elsewhere")
    make(loads="File /etc/other.toml")  # as the staging server in the same folder
    ranks = [{}, {"where": "/elsewhere"}, {"more": ("Environment(APP_)",)}]
    made = [make(**options) for options in ranks[gap:]]
    assert where.find() == made[0]


def test_no_other_one_of_the_same_name_is_taken(make: Make) -> None:
    where = attached(old := make(master=DEAD))
    gone(old)
    make(loads="File /etc/other.toml", where="/elsewhere")
    make(told="")
    make(name="other")
    make(name="a/pp", told="a/pp")
    assert where.find() == old
    assert where.trouble() == f"there is no config owner at {old}, nor one that has taken its place"


def test_a_name_that_only_looks_the_same_in_a_folder_s_name_is_another(make: Make) -> None:
    where = OwnerFinder("a/b", "a/b")
    make(name="a.b", told="a.b")
    make(name="a_b", told="a_b")
    assert where.find() == ""
    mine = make(name="a/b", told="a/b")
    assert where.find() == mine


def test_where_the_former_one_was_is_looked_too_whatever_variables_say_here(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service's RuntimeDirectory= is in its own environment."""
    monkeypatch.setattr(owner_dirs, "candidates", lambda: iter([]))
    where = attached(old := make(master=DEAD))
    gone(old)
    new = make()
    assert where.find() == new


def test_while_the_master_lives_no_other_server_is_looked_at(make: Make) -> None:
    """Its folder was cleaned away: the owner makes it anew."""
    where = attached(old := make())
    gone(old)
    make(master=os.getppid())
    assert where.find() == old


def test_of_several_none_is_taken_and_all_are_named(make: Make) -> None:
    where = attached(old := make(master=DEAD))
    gone(old)
    one, two = make(), make()
    assert where.find() == old
    assert (
        where.trouble()
        == where.ambiguity
        == f"2 config owners could be meant: {one} (/srv), {two} (/srv); attach to one by its address"
    )


def test_who_has_refused_is_not_asked_again(make: Make) -> None:
    where = attached(old := make(master=DEAD))
    gone(old)
    where.refuse(make())
    assert where.find() == old
    new = make()
    assert where.find() == new


def test_a_process_that_the_master_has_started_stays_with_it(make: Make) -> None:
    mine = os.getppid()
    where = attached(old := make(master=mine))
    assert not where.beside
    new = make(master=mine)
    left(old)
    assert where.find() == old
    gone(old)
    assert where.find() == new
    gone(new)
    make()
    assert where.find() == old


def test_what_an_owner_has_written_is_known_to_its_replica_however_many_others_write(make: Make) -> None:
    """A process may attach to many configurations, one of which outlives the others' owners."""
    where = attached(here := make(master=DEAD, loads="File /srv/mine.toml"))
    others = [make(loads=f"File /srv/{number}.toml") for number in range(discovery._MOST_KNOWN)]
    for other in [*others, *others[-1:] * 9]:
        attached(other)
    assert len(discovery._known) == discovery._MOST_KNOWN
    again = make(loads="File /srv/mine.toml", where="/elsewhere")
    for address in (here, *others):
        gone(address)
    assert where.find() == again


def test_what_was_written_is_known_when_the_address_is_given_again(make: Make) -> None:
    attached(old := make(master=DEAD))
    gone(old)
    new = make()
    assert OwnerFinder("app", old).find() == new
    discovery._known.clear()
    assert OwnerFinder("app", old).find() == old


def test_by_name_the_one_is_taken_that_the_command_line_would_take(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = OwnerFinder("app", "app")
    assert where.find() == where.address == ""
    assert "no config owner named 'app' runs for this user" in where.trouble()
    one = make(where=str(tmp_path))
    assert where.find() == one
    make(where="/elsewhere")
    assert where.find() == ""
    monkeypatch.chdir(tmp_path)
    assert where.find() == one


def test_what_is_neither_a_path_nor_the_name_is_refused_in_words() -> None:
    with pytest.raises(
        ConfcastError, match=r"'other' is no address .*: give .*, with a slash \(\./other\), or 'app', "
    ):
        OwnerFinder("app", "other")


def test_an_address_that_this_user_may_not_look_at_is_still_the_one(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server's folder below one that only its user may enter: connecting says so, and looking raises nothing."""
    here = attached(make())

    def refused(path: Path) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refused)
    monkeypatch.setattr(Path, "exists", lambda path: False)  # so Python 3.14 says then
    assert here.find() == here.address
    assert here.trouble() == ""
    here.refuse(here.address)


# ---- a lasting address


@pytest.fixture
def lasting(make: Make, tmp_path: Path) -> Callable[[str], str]:
    """Has the lasting address lead to this control socket; gives the address."""

    def lead_to(address: str) -> str:
        (link := tmp_path / "c.sock").unlink(missing_ok=True)
        link.symlink_to(address)
        return str(link)

    return lead_to


def test_a_lasting_address_is_followed_wherever_it_leads_and_nothing_else_is(
    make: Make, lasting: Callable[[str], str]
) -> None:
    given = lasting(old := make())
    where = attached(old, given)
    make()  # loads the same in the same place, and is another serve's
    new = make(loads="File /etc/other.toml", where="/elsewhere")
    assert where.find() == old
    gone(old)
    assert where.find() == old, "it may come again there"
    assert where.trouble() == f"no config owner serves at {given}: `confcast serve --address {given}` starts one"
    lasting(new)
    assert where.find() == new
    assert where.is_another(new)
    where.move(new)
    assert not where.is_another(new)


def test_what_refuses_there_is_passed_over_for_the_generation_before_while_that_is_there(
    make: Make, lasting: Callable[[str], str]
) -> None:
    oldest, old, new = make(), make(), make()
    for former, following in ((oldest, old), (old, new)):
        (Path(following).parent / FORMER).symlink_to(Path(former).parent)
    where = OwnerFinder("app", lasting(new))
    assert where.find() == new
    assert where.has_another(new)
    where.refuse(new)
    assert where.find() == old
    where.refuse(old)
    assert where.find() == oldest
    where.move(oldest)
    where.refuse(oldest)
    assert not where.has_another(oldest)
    newest = make()
    gone(oldest)
    assert where.find() == oldest, "the last that has served, until the address leads elsewhere"
    lasting(newest)
    assert where.find() == newest


def test_an_owner_of_no_lasting_address_has_no_other(make: Make) -> None:
    where = attached(here := make())
    make()
    assert not where.has_another(here)
