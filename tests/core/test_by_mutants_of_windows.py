"""Traces that `scripts/mutate` has asked for, of windows and operations: as `test_by_mutants.py`."""

from __future__ import annotations

import msgspec
import pytest

from confcast.errors import Problem
from confcast.owner.core import effects as fx
from confcast.owner.core.machine import Hold, OperatorState, ProposalState
from confcast.owner.core.operations import LONGEST_REASON
from confcast.owner.core.operator_state import Unconfirmed
from confcast.owner.core.proposal import CONFLICT, CUT_SHORT, HELD, NOTHING_TO_CONFIRM
from confcast.owner.core.requests import MOST_WAITING
from confcast.owner.core.windows import digest_of
from confcast.wire.messages import Applied, Check, Confirm, Declined, Reload, ReloadResult, Rollback, Set
from tests.core.test_trials import serving as with_sources
from tests.core.test_windows import OPERATOR, SECONDS, opens, serving
from tests.core.world import WHY, A, B, C, D, Owner, Peer, all_apply, all_vote, commits, installed

IDLE, LOADING, STAGING, RECORDING, COMMITTING = ProposalState


def test_a_digest_of_the_sources_is_the_same_in_every_release():
    """It stands in journals."""
    assert digest_of(b"x").hex() == "442a44457137672b3218c1007dc8f76a"


def test_where_nothing_was_ever_proven_a_window_puts_back_what_ran():
    owner = Owner(None)
    first, second = owner.meets(1), owner.meets(2)
    owner.is_triggered()
    owner.loads(A)
    all_vote(owner, first, second)
    owner.records()
    owner.receives(first, Applied(1))
    owner.receives(second, Declined(1, (WHY,)))
    assert (owner.state, owner.version) == (IDLE, 1)
    owner.forget().is_asked_for(Reload, OPERATOR, confirm_within=SECONDS)
    owner.loads_of(B, B)
    all_vote(owner, first, second)
    assert owner.did(fx.Record)[0].operator.window.fallback == 1


def test_the_window_of_what_is_set_on_top_of_a_hold_has_no_sources():
    """They gave what runs, which is proven, and stays so."""
    owner, peers = with_sources(operator=OperatorState(hold=Hold(1, 50.0)), canary=None)
    owner.is_asked_for(Set, OPERATOR, values={"k": "x"}, confirm_within=SECONDS)
    owner.loads_of(B, A, layer=b"k")
    all_vote(owner, *peers)
    assert owner.did(fx.Record)[0].operator.window.sources == b""


def test_what_comes_after_a_windows_end_and_before_its_timer_finds_it_ended():
    owner, *peers = serving()
    opens(owner, *peers)
    owner.is_asked()
    owner.loads(C)
    owner.now += 2 * SECONDS
    owner.forget()
    all_vote(owner, *peers)
    (record,) = owner.did(fx.Record)
    assert (record.payload, record.undoes) == (A, 2)


def test_a_windows_end_waits_for_the_number_that_a_newcomer_holds():
    owner, *peers = serving()
    opens(owner, *peers)
    owner.is_asked()
    owner.loads(C)
    owner.now += 2 * SECONDS
    owner.forget().meets(3, 9, D)
    owner.waits_out(fx.Timer.CONFIRM)
    assert [record.version for record in owner.did(fx.Record)] == [10]


def test_the_end_of_a_window_that_undoes_nothing_is_written_again_after_a_second():
    """And a worker that comes in that second is given what runs."""
    owner, *peers = serving()
    owner.is_asked_for(Reload, OPERATOR, confirm_within=SECONDS)
    owner.loads_of(A, A)
    owner.records()
    all_apply(owner, *peers)
    owner.waits_out(fx.Timer.CONFIRM)
    owner.forget().fails_to_record(fx.RowState.ABSENT)
    assert [each.when for each in owner.did(fx.WakeAt) if each.timer is fx.Timer.UNDO] == [owner.now + 1.0]
    newcomer = owner.meets(3)
    assert owner.sent(newcomer) == [installed(1, A, A)]


def test_a_round_that_the_end_of_a_window_that_undoes_nothing_has_ended_gives_the_next_one_no_more_time():
    owner, *peers = serving()
    owner.is_asked_for(Reload, OPERATOR, confirm_within=SECONDS)
    owner.loads_of(A, A)
    owner.records()
    all_apply(owner, *peers)
    owner.is_asked()
    owner.loads(C)
    owner.waits_out(fx.Timer.CONFIRM)
    owner.records()
    all_apply(owner, *peers)
    owner.forget().loads(D)
    (wake,) = [each for each in owner.did(fx.WakeAt) if each.timer is fx.Timer.STAGE]
    assert wake.when == owner.now + owner.core.rules.vote_timeout


def test_a_confirmation_of_another_version_than_runs_names_both():
    owner, *peers = serving()
    opens(owner, *peers)
    call = owner.is_asked_for(Confirm, OPERATOR, version=7)
    text = "version 2 runs, and version 7 was to be confirmed: look at what has changed, and confirm that"
    assert owner.answer(call).problems == [Problem("", text)]


def test_while_a_confirmation_is_written_what_waits_waits():
    owner, *peers = serving()
    opens(owner, *peers)
    owner.is_asked()
    owner.is_asked_for(Confirm, OPERATOR)
    owner.is_triggered()
    owner.forget().fails_to_load()
    assert (owner.state, len(owner.did(fx.RecordState)), owner.did(fx.Load)) == (RECORDING, 1, [])


def test_what_waits_behind_a_conflict_begins():
    owner, *_ = serving()
    owner.is_asked()
    conflict = owner.is_asked_for(Confirm, OPERATOR)
    owner.is_asked_for(Set, OPERATOR, values={"k": "x"})
    owner.forget().fails_to_load()
    assert owner.answer(conflict).problems == [Problem("", NOTHING_TO_CONFIRM)]
    assert [load.edit.values for load in owner.did(fx.Load)] == [{"k": "x"}]


def test_what_was_refused_stays_so_when_a_window_closes_of_itself():
    owner, *peers = serving(refused=C)
    owner.is_asked_for(Set, OPERATOR, values={"k": "x"}, confirm_within=SECONDS)
    owner.loads_of(A, A, layer=b"k")
    owner.records()
    all_apply(owner, *peers)
    owner.core.refused = C
    owner.forget().waits_out(fx.Timer.CONFIRM)
    (write,) = owner.did(fx.RecordState)
    assert (write.refused, write.operator.window) == (C, None)
    owner.now += 1.0
    owner.records()
    (event,) = owner.events()
    assert (event.load_ms, event.stage_ms, event.journal_ms) == (0.0, 0.0, 1000.0)


def test_the_undo_of_a_window_to_its_last_field():
    owner, *peers = serving()
    opens(owner, *peers)
    owner.forget().waits_out(fx.Timer.CONFIRM)
    why = "nobody confirmed version 2 within 600 s"
    (record,) = owner.did(fx.Record)
    refused = Unconfirmed(2, digest_of(B), why, B)
    state = msgspec.structs.replace(owner.core.operator, serial=2, window=None, unconfirmed=refused)
    expected = fx.Record(3, A, A, True, B, "undo", values=A, operator=state, undoes=2, takes_back=1)
    assert record == expected
    owner.now += 1.0
    owner.records()
    assert [owner.sent(peer) for peer in peers] == [[installed(3, A, A, undo=True)]] * 2
    assert not owner.core.roster.anybody_runs(3)
    all_apply(owner, *peers)
    (event,) = owner.events()
    text = f"{why}, so the content of version 1 has been put back under the next number."
    assert (event.problems[0].key, event.problems[0].message[: len(text)]) == ("", text)
    assert (event.load_ms, event.stage_ms, event.journal_ms) == (0.0, 0.0, 1000.0)


def test_a_way_back_that_is_itself_taken_back_restores_nothing():
    owner, *peers = serving()
    opens(owner, *peers)
    owner.is_asked_for(Rollback, OPERATOR, version=1)
    owner.restores(C, 1)
    all_vote(owner, *peers)
    owner.records()
    assert owner.state is COMMITTING
    owner.forget().waits_out(fx.Timer.CONFIRM)
    (record,) = owner.did(fx.Record)
    assert (record.payload, record.restores, record.undoes, record.takes_back) == (A, 0, 3, 1)


def test_a_way_back_from_a_window_leaves_what_was_refused_before():
    refused = Unconfirmed(9, digest_of(C), "errors", C)
    owner, *peers = serving(operator=OperatorState(unconfirmed=refused))
    owner.is_asked_for(Set, OPERATOR, values={"k": "x"}, confirm_within=SECONDS)
    owner.loads_of(B, A, layer=b"k")
    commits(owner, *peers)
    owner.forget().is_asked_for(Rollback, OPERATOR)
    assert owner.did(fx.Record)[0].operator.unconfirmed == refused


@pytest.mark.parametrize("checked", [False, True])
def test_of_a_round_that_a_windows_end_has_ended_only_an_open_check_may_hang(checked: bool):
    """The next load is of a thread that hangs already, if that check does: then the owner must end."""
    owner, *peers = serving()
    opens(owner, *peers)
    owner.is_asked()
    owner.proposes(C)
    if checked:
        owner.checks()
    assert owner.state is STAGING
    owner.forget().waits_out(fx.Timer.CONFIRM)
    owner.records()
    all_apply(owner, *peers)
    assert owner.state is LOADING
    owner.waits_out(fx.Timer.LOAD)
    assert bool(owner.did(fx.Exit)) is not checked


def test_a_round_that_a_windows_end_has_ended_gives_the_next_one_no_more_time():
    owner, *peers = serving()
    opens(owner, *peers)
    owner.is_asked()
    owner.loads(C)
    owner.waits_out(fx.Timer.CONFIRM)
    owner.records()
    all_apply(owner, *peers)
    owner.forget().loads(D)
    (wake,) = [each for each in owner.did(fx.WakeAt) if each.timer is fx.Timer.STAGE]
    assert wake.when == owner.now + owner.core.rules.vote_timeout


# ---- operations


def test_however_short_a_window_is_its_reload_runs_alone():
    owner, *peers = serving()
    owner.is_asked_for(Reload, OPERATOR, confirm_within=0.5)
    owner.loads_of(B, B)
    all_vote(owner, *peers)
    assert owner.did(fx.Record)[0].operator.window.within == 0.5


def test_a_dry_run_has_no_reason():
    owner, *peers = serving()
    call = owner.is_asked_for(Check)
    owner.loads(B)
    all_vote(owner, *peers)
    assert owner.answer(call).reason == ""


def test_a_long_reason_is_cut_wherever_it_is_kept():
    owner, *_ = serving()
    owner.is_asked_for(Set, OPERATOR, values={"k": "x"}, reason="x" * (LONGEST_REASON + 1))
    assert owner.did(fx.Load)[0].edit.reason == "x" * LONGEST_REASON


def test_a_dry_run_for_which_there_is_no_room_is_answered_as_one():
    owner, *_ = serving()
    owner.is_asked()
    for _ in range(MOST_WAITING):
        owner.is_asked_for(Check)
    event = owner.answer(owner.is_asked_for(Check))
    assert (event.result, event.dry_run) == (ReloadResult.OWNER_UNAVAILABLE, True)


def test_a_conflict_is_about_no_key_and_names_both_versions():
    owner, *_ = serving()
    event = owner.answer(owner.is_asked_for(Reload, expect=7))
    assert event.problems == [Problem("", CONFLICT.format(1, 7))]


def test_a_dry_run_of_files_reads_them_on_top_of_a_hold_too():
    owner, *_ = serving(operator=OperatorState(hold=Hold(1, 50.0)))
    owner.is_asked_for(Check, files={"app.toml": b"a = 1"})
    assert not owner.did(fx.Load)[0].rebuild


def test_a_reload_that_expects_a_version_only_compares_while_it_is_held():
    owner, *_ = serving(operator=OperatorState(hold=Hold(1, 50.0)))
    owner.is_asked_for(Reload, expect=1)
    assert owner.did(fx.Load)[0].compare


def test_what_was_undone_is_refused_still_though_what_is_set_above_it_changes_nothing():
    refused = Unconfirmed(9, digest_of(B), "errors", D)
    owner, *peers = serving(operator=OperatorState(unconfirmed=refused))
    owner.is_triggered("watch")
    owner.loads_of(A, B)
    all_apply(owner, *peers)
    assert (owner.state, owner.core.operator.unconfirmed) == (IDLE, refused)


def expiring(owner_until: float = 699.0) -> tuple[Owner, list[Peer]]:
    """A value is over one second before a window's end."""
    owner, *peers = serving(operator=OperatorState(layer=b"k", expires=owner_until))
    owner.is_asked_for(Reload, OPERATOR, confirm_within=SECONDS)
    owner.feed(fx.Loaded(owner.last_load, B, B, True, layer=b"k", expires=owner_until, values=B))
    commits(owner, *peers)
    owner.now = owner_until
    owner.forget().feed(fx.Wake(fx.Timer.EXPIRY, -1))
    assert [load.rebuild for load in owner.did(fx.Load)] == [True]
    return owner, peers


def test_a_values_end_that_a_windows_end_has_ended_begins_anew():
    owner, peers = expiring()
    owner.waits_out(fx.Timer.CONFIRM)
    owner.records()
    owner.forget()
    all_apply(owner, *peers)
    assert (owner.state, [load.rebuild for load in owner.did(fx.Load)]) == (LOADING, [True])


def test_a_values_end_that_was_refused_waits_for_a_load_though_a_windows_end_has_ended_one():
    owner, peers = expiring()
    owner.fails_to_load()
    owner.is_asked()
    owner.waits_out(fx.Timer.CONFIRM)
    owner.records()
    owner.forget()
    all_apply(owner, *peers)
    assert (owner.state, [load.rebuild for load in owner.did(fx.Load)]) == (LOADING, [False])


def test_of_what_was_refused_before_each_is_found_alone():
    """And as many as there are, one after another: no list in a list."""
    first, second, third = (Unconfirmed(n, digest_of(each), "errors", each) for n, each in ((2, B), (3, C), (4, D)))
    both = third.beside(second.beside(first))
    assert [each.earlier for each in both.earlier] == [(), ()]
    assert both.found_in(digest_of(C), b"", b"") == second
    assert both.found_in(b"", D, b"") == third


def test_what_a_journal_of_old_has_refused_is_found_by_the_digest_beside_it():
    old = Unconfirmed(2, b"", "errors")
    assert old.found_in(b"", B, B) == old
    assert old.found_in(b"", C, B) is None
    assert Unconfirmed(2, b"", "errors", C).found_in(b"", B, B) is None


@pytest.mark.parametrize("undone_before", [True, False])
def test_what_is_refused_beside_a_value_that_is_set(undone_before: bool):
    """It stays refused together with the sources that gave it; else a commit ends it."""
    unconfirmed = Unconfirmed(9, digest_of(A), "errors", C) if undone_before else None
    owner, *peers = serving(refused=C, operator=OperatorState(unconfirmed=unconfirmed))
    owner.is_asked_for(Set, OPERATOR, values={"k": "x"})
    owner.loads_of(B, A, layer=b"k")
    all_vote(owner, *peers)
    assert owner.did(fx.Record)[0].refused == (C if undone_before else b"")


def test_what_a_hold_stops_is_told_with_the_held_version():
    owner, *_ = serving(operator=OperatorState(hold=Hold(1, 50.0)))
    call = owner.is_asked()
    owner.loads(B)
    assert owner.answer(call).problems == [Problem("", HELD.format(1))]


def test_a_worker_that_declined_the_first_version_is_sent_it_again():
    owner = Owner(None)
    first, second = owner.meets(1), owner.meets(2)
    owner.is_triggered()
    owner.loads(A)
    all_vote(owner, first, second)
    owner.records()
    owner.receives(first, Applied(1))
    owner.receives(second, Declined(1, (WHY,)))
    owner.is_triggered()
    owner.forget().loads(A)
    assert [frame.version for frame in owner.sent(second)] == [1]


def test_a_dry_run_without_an_answer_names_the_worker():
    owner, first, _ = serving(silent="refuse")
    call = owner.is_asked_for(Check)
    owner.loads(B)
    all_vote(owner, first)
    owner.waits_out(fx.Timer.STAGE)
    (problem,) = owner.answer(call).problems
    assert (problem.key, problem.location) == ("", "worker 2")
    assert problem.message.startswith("did not answer within 2 s")


def test_a_dry_run_that_gives_way_says_so():
    owner, *_ = serving()
    call = owner.is_asked_for(Check)
    owner.loads(B)
    owner.is_triggered()
    assert owner.answer(call).problems == [Problem("", CUT_SHORT)]


def test_the_no_of_a_worker_that_has_left_counts_in_a_dry_run():
    owner, first, second = serving()
    call = owner.is_asked_for(Check)
    owner.loads(B)
    all_vote(owner, first, ok=False)
    owner.loses(first)
    all_vote(owner, second)
    event = owner.answer(call)
    assert (event.result, [problem.message for problem in event.problems]) == (ReloadResult.REJECTED, ["no"])


@pytest.mark.parametrize("asked", [{"values": {"k": "x"}}, {"files": {"app.toml": b"k = 1"}}, {}])
def test_a_dry_run_loads_with_what_it_tries(asked: dict[str, object]):
    owner, *_ = serving()
    owner.is_asked_for(Check, **asked)
    edit = owner.did(fx.Load)[0].edit
    assert (edit is not None) is bool(asked)
