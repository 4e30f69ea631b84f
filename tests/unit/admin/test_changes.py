"""What comes of a change as HTTP has it: done, on trial, refused, unknown; and what If-Match says."""

from __future__ import annotations

from typing import Any

import pytest

from confcast.admin.changes import _STATUSES, Outcome, expected
from confcast.admin.problems import ProblemError
from confcast.errors import OwnerUnavailable
from confcast.wire.messages import ReloadEvent, ReloadResult


class Owner:
    """An owner whose answer is known."""

    def __init__(self, version: int = 7, trial: int | None = None) -> None:
        self._stats = {"version": version, "trial": None if trial is None else {"version": trial}}
        self.asked = 0

    def get_stats(self) -> dict[str, Any]:
        self.asked += 1
        return self._stats


class Gone(Owner):
    """An owner that has ended after its answer."""

    def get_stats(self) -> dict[str, Any]:
        raise OwnerUnavailable("gone")


def outcome(result: ReloadResult, owner: Any = None, **fields: Any) -> Outcome:
    event = ReloadEvent(timestamp=1.0, result=result, version=7, **fields)
    return Outcome(owner or Owner(), lambda *_: event, None, None)


@pytest.mark.parametrize("result", ReloadResult)
def test_each_result_has_its_status(result: ReloadResult) -> None:
    if result:
        assert outcome(result).response().status_code == 200
    elif result is ReloadResult.ON_TRIAL:
        assert outcome(result).response().status_code == 202
    else:
        with pytest.raises(ProblemError) as refused:
            outcome(result, error_message="why").response()
        assert (refused.value.status, refused.value.result) == (_STATUSES[result], result.value)
        assert refused.value.detail == "why"


def test_a_dry_run_of_what_would_be_tried_is_done() -> None:
    assert outcome(ReloadResult.ON_TRIAL, dry_run=True).response().status_code == 200


def test_an_outcome_that_is_unknown_says_so_and_asks_nothing_more() -> None:
    owner = Owner()
    with pytest.raises(ProblemError) as refused:
        outcome(ReloadResult.OWNER_UNAVAILABLE, owner, error_message="what became of the change is unknown").response()
    assert (refused.value.status, refused.value.headers, owner.asked) == (504, {}, 0)


def test_the_tag_is_the_number_that_a_next_change_is_compared_with() -> None:
    assert outcome(ReloadResult.SUCCESS).response().headers["etag"] == '"7"'
    assert outcome(ReloadResult.ON_TRIAL, Owner(7, 8)).response().headers["etag"] == '"8"'
    assert "etag" not in outcome(ReloadResult.SUCCESS, Gone()).response().headers


@pytest.mark.parametrize(("given", "number"), [('"12"', 12), (' "12" ', 12), ("*", None)])
def test_a_version_or_any_is_expected(given: str, number: int | None) -> None:
    assert expected([given]) == number


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ([], 428),
        (["12"], 400),
        (['W/"12"'], 400),
        (['"12", "13"'], 400),
        (['"12"', "*"], 400),  # two headers: whichever counted, the other one would have been meant as well
        (['"x"'], 400),
        (['"0"'], 400),
        ([""], 400),
    ],
)
def test_anything_else_is_refused_in_words(given: list[str], status: int) -> None:
    with pytest.raises(ProblemError, match="12") as refused:
        expected(given)
    assert refused.value.status == status
