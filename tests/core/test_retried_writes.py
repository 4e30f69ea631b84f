"""The writes that are tried again until they succeed: each failure is counted, and a person can see what is waited for.

Without: an undo on a full disk is tried each second, nobody is told, and the workers go on with what is to be undone.
"""

from __future__ import annotations

import pytest

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import ProposalState
from confcast.owner.core.proposal import Phase
from confcast.wire.messages import Reload
from tests.core.test_operations import OPERATOR, serving
from tests.core.test_trials import begun, ends
from tests.core.world import WHY, A, B, Owner, Peer, all_apply, all_decline, all_vote

RECORDING = ProposalState.RECORDING
UNDO, WINDOW, TRIAL = "undo", "end of the window", "extension of the trial"


def undoes() -> tuple[Owner, list[Peer]]:
    """Version 2 runs nowhere, since each worker has declined it: its undo is ordered."""
    owner, *peers = serving((1, A))
    owner.is_triggered()
    owner.loads(B)
    all_vote(owner, *peers)
    owner.records()
    all_decline(owner, *peers)
    assert (owner.state, owner.did(fx.Record)[-1].undoes) == (RECORDING, 2)
    return owner.forget(), peers


def closes_a_window() -> tuple[Owner, list[Peer]]:
    """Nothing was changed in a window that is over: that is to be written."""
    owner, *peers = serving((1, A))
    owner.is_asked_for(Reload, OPERATOR, confirm_within=60.0)
    owner.loads_of(A, A)
    owner.records()
    all_apply(owner, *peers)
    owner.waits_out(fx.Timer.CONFIRM)
    assert owner.state is RECORDING
    return owner.forget(), peers


def extends_a_trial() -> tuple[Owner, list[Peer]]:
    owner, peers = begun()
    ends(owner)
    assert owner.state is RECORDING
    return owner.forget(), peers


CASES = [
    pytest.param(undoes, fx.Timer.UNDO, UNDO, 2, id="undo"),
    pytest.param(closes_a_window, fx.Timer.UNDO, WINDOW, 1, id="window"),
    pytest.param(extends_a_trial, fx.Timer.TRIAL, TRIAL, 2, id="trial"),
]


@pytest.mark.parametrize(("begins", "timer", "what", "version"), CASES)
def test_each_failure_is_counted_and_the_write_that_ends_the_row_is_told(begins, timer, what, version):
    owner, _ = begins()
    for times in (1, 2, 3):
        owner.forget().fails_to_record(fx.RowState.ABSENT)
        assert owner.did(fx.Retried) == [fx.Retried(what, version, times, WHY)]
        owner.waits_out(timer)
        assert owner.state is RECORDING
    owner.forget().records()
    assert owner.log[0] == fx.Retried(what, version, 3), "before what the write leads to"
    assert len(owner.did(fx.Retried)) == 1


@pytest.mark.parametrize(("begins", "timer", "what", "version"), CASES)
def test_a_row_that_has_ended_is_no_part_of_the_next(begins, timer, what, version):
    owner, _ = begins()
    owner.fails_to_record(fx.RowState.ABSENT)
    owner.waits_out(timer)
    owner.forget().fails_to_record(fx.RowState.PRESENT)
    assert owner.did(fx.Retried) == [fx.Retried(what, version, 1)], "it was found in the journal"
    assert owner.core.phase().retried == ""
    assert owner.core._retried.written() == []


@pytest.mark.parametrize(("begins", "what", "version"), [(undoes, UNDO, 2), (closes_a_window, WINDOW, 1)])
def test_meanwhile_the_phase_says_what_is_waited_for_and_since_when(begins, what, version):
    owner, _ = begins()
    assert owner.core.phase().retried == "", "the first try is under way"
    owner.fails_to_record(fx.RowState.ABSENT)
    why = f"the journal, since the {what} of version {version} could not be written, and is tried again: no"
    first = owner.now
    assert owner.core.phase() == Phase(RECORDING, first, (), why)
    owner.waits_out(fx.Timer.UNDO)
    assert owner.core.phase() == Phase(RECORDING, first, (), why), "in the second try, too"
    owner.fails_to_record(fx.RowState.ABSENT)
    assert owner.core.phase() == Phase(RECORDING, first, (), why)
    owner.waits_out(fx.Timer.UNDO)
    owner.records()
    assert (owner.core.phase().retried, owner.core.phase().since) == ("", owner.now)


def test_a_trial_whose_extension_is_tried_again_holds_up_nothing_so_no_phase_waits_for_it():
    owner, _ = extends_a_trial()
    owner.fails_to_record(fx.RowState.ABSENT)
    assert (owner.core.phase().state, owner.core.phase().retried) == (ProposalState.IDLE, "")


def test_what_is_tried_again_next_is_a_row_of_its_own():
    """The trial is undone, while its extension can't be written."""
    owner, peers = extends_a_trial()
    owner.fails_to_record(fx.RowState.ABSENT)
    owner.loses(peers[0])
    owner.feed(fx.Probed(2, "it is down"))
    assert owner.state is RECORDING
    for times in (1, 2):
        owner.forget().fails_to_record(fx.RowState.ABSENT)
        assert owner.did(fx.Retried) == [fx.Retried(UNDO, 2, times, WHY)]
        owner.waits_out(fx.Timer.UNDO)


def test_a_reload_that_could_not_be_written_has_an_answer_and_is_not_tried_again():
    owner, *peers = serving((1, A))
    call = owner.is_asked()
    owner.loads(B)
    all_vote(owner, *peers)
    owner.fails_to_record(fx.RowState.ABSENT)
    assert not owner.answer(call)
    assert owner.did(fx.Retried) == []
