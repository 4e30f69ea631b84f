"""Ids of owners: a name alone where that means one, and always something that means one."""

from __future__ import annotations

import asyncio

import pytest

from confcast.admin.calls import Calls
from confcast.admin.owners import Owner, Owners, Which, _with_ids
from confcast.admin.problems import ProblemError
from confcast.errors import OwnerUnavailable


class Known(Owners):
    """Owners that need not be looked for."""

    def __init__(self, *found: tuple[str, str, int]) -> None:
        super().__init__(Which(), Calls(8))
        self.found, self.looks = list(found), 0

    def _there(self) -> list[Owner]:
        self.looks += 1
        if not self.found:
            raise OwnerUnavailable("no config owner runs here")
        return _with_ids(self.found)


def find(owners: Owners, wanted: str | None) -> Owner:
    return asyncio.run(owners.find(wanted))


def refused(owners: Owners, wanted: str | None) -> ProblemError:
    with pytest.raises(ProblemError) as found:
        find(owners, wanted)
    return found.value


def test_a_name_alone_means_the_only_one_and_the_pid_always_does() -> None:
    owners = Known(("app", "/a", 7))
    assert find(owners, None) == find(owners, "app") == find(owners, "app.7") == Owner("app", "app", "/a", 7)


def test_of_several_each_has_an_id_of_its_own() -> None:
    found = [("app", "/a", 7), ("app", "/b", 8), ("app", "/c", 8), ("shop", "/d", 7)]
    owners = Known(*found)
    listed = asyncio.run(owners.all())
    assert [each.id for each in listed][:1] == ["app.7"]
    assert listed[3].id == "shop"
    assert len({each.id for each in listed}) == 4
    assert [find(owners, each.id).address for each in listed] == ["/a", "/b", "/c", "/d"]
    assert refused(owners, None).result == "several_owners"
    assert refused(owners, None).members["owners"] == [each.id for each in listed]


def test_a_name_that_several_have_by_now_is_told_as_that() -> None:
    owners = Known(("app", "/a", 7), ("app", "/b", 8))
    problem = refused(owners, "app")
    assert (problem.status, problem.result, problem.members["owners"]) == (409, "several_owners", ["app.7", "app.8"])
    assert refused(owners, "nobody").status == 404


def test_without_any_it_says_what_there_is() -> None:
    problem = refused(Known(), None)
    assert (problem.status, problem.detail) == (503, "no config owner runs here")
    assert problem.headers["Retry-After"]


def test_they_are_looked_for_once_for_all_who_ask_within_a_moment() -> None:
    owners = Known(("app", "/a", 7))

    async def at_once() -> None:
        found = await asyncio.gather(*(owners.find("app") for _ in range(100)))
        assert {each.address for each in found} == {"/a"}

    asyncio.run(at_once())
    find(owners, "app")
    assert owners.looks == 1


@pytest.mark.parametrize(
    ("which", "variables", "one"),
    [
        (Which(), {}, False),
        (Which(name="app"), {}, True),
        (Which(address="/a"), {}, True),
        (Which(pid=7), {}, True),
        (Which(), {"CONFCAST_ADDRESS_APP": "/a"}, True),
        (Which(), {"CONFCAST_ADDRESS_SHOP": "/a"}, True),
        (Which(), {"CONFCAST_ADDRESS_SHOP": ""}, False),
    ],
)
def test_one_owner_is_meant_by_options_or_by_a_server_s_variable(
    monkeypatch: pytest.MonkeyPatch, which: Which, variables: dict[str, str], one: bool
) -> None:
    for name in ("CONFCAST_ADDRESS_APP", "CONFCAST_ADDRESS_SHOP"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert which.is_one() is one
