"""What may happen to a world in which versions are tried; as in `disturbances.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import ProposalState
from confcast.wire.canary import Canary
from confcast.wire.messages import Check, Commit, Confirm, Reload, Resume, Rollback, Set, Try
from tests.core.simulation import Process, World

T = TypeVar("T")
BY_WORKER = Canary(1, seconds=4.0, min_requests=6)
BY_SHARE = Canary("60%", seconds=6.0, min_requests=3, inconclusive="promote")
BY_ENTITY = Canary("30%", seconds=4.0, by="entity", min_requests=3)
CANARIES = {b"A": BY_WORKER, b"B": BY_SHARE, b"C": BY_ENTITY}
OTHER = {b"A": b"B", b"B": b"C", b"C": b"A"}


def goes_on(world: World, until: Callable[[], object]) -> None:
    """What can happen by itself, and deadlines where nothing else does, until that is so; not for ever."""
    for _ in range(80):
        if until():
            return
        if (move := world.first_move()) is not None:
            move()
        elif world.owner and world.owner.timers:
            world.next_deadline()
        else:
            return  # for ever like this


def living(world: World) -> list[Process]:
    return [*world.living]


def trying(world: World) -> list[Process]:
    """The workers that have a version on trial."""
    return [process for process in living(world) if process.machine.slot is not None]


def another(world: World, content: bytes) -> bytes:
    """A content that does not run."""
    values = world.journal.values.get(max(world.journal.rows, default=0))
    return content if content != values else OTHER[content]


def somebody_reloads_with_a_trial(world: World, process: Process | None, content: bytes) -> None:
    world.sources = content
    world.ask(Reload, process, canary=CANARIES[content])


def a_trial_is_taken_up(world: World, process: Process | None, content: bytes) -> None:
    """As far as it comes by itself."""
    if world.journal.operator.trial is None:
        world.sources = another(world, content)
        world.ask(Reload, canary=CANARIES[content])
    goes_on(world, lambda: world.journal.operator.trial is not None and trying(world))


def requests_end(world: World, process: Process | None, content: bytes) -> None:
    for each in trying(world) or living(world):
        world.counts(each, content[0] - ord("A") + 1)


def a_trial_has_evidence_and_ends(world: World, process: Process | None, content: bytes) -> None:
    a_trial_is_taken_up(world, process, content)
    for each in trying(world):
        world.counts(each, 9)
    goes_on(world, lambda: not any(pipe.up for pipe in world.pipes.values()))
    a_trial_ends(world, process, content)


def a_trial_ends(world: World, process: Process | None, content: bytes) -> None:
    """Its deadline comes, wherever the owner is."""
    a_deadline_comes(world, fx.Timer.TRIAL)


def a_deadline_comes(world: World, kind: fx.Timer) -> None:
    """The last one of this kind, and with it those before, wherever the owner is."""
    owner = world.owner
    timers = [timer for timer in owner.timers if timer.timer is kind] if owner is not None else []
    if timers and not owner.effects:
        world.time_passes(max(0.0, max(timer.when for timer in timers) - world.now))
        for timer in timers:
            owner.timers.remove(timer)
            owner.inputs.append(fx.Wake(timer.timer, timer.token))


def a_trial_ends_amid_a_load(world: World, process: Process | None, content: bytes) -> None:
    a_trial_is_taken_up(world, process, content)
    world.ask(Check) if content == b"A" else world.trigger()
    state = ProposalState.STAGING if content == b"A" else ProposalState.LOADING
    goes_on(world, lambda: world.owner and world.owner.core.state is state and not world.owner.effects)
    a_trial_ends(world, process, content)


def somebody_confirms_a_trial(world: World, process: Process | None, content: bytes) -> None:
    a_trial_is_taken_up(world, process, content)
    trial = world.journal.operator.trial
    world.ask(Confirm, version=0 if trial is None or content != b"B" else trial.version)


def a_promotion_is_refused(world: World, process: Process | None, content: bytes) -> None:
    """By those that are no canaries."""
    a_trial_is_taken_up(world, process, content)
    trial = world.journal.operator.trial
    if trial is not None:
        for each in set(living(world)) - set(trying(world)):
            each.refuses.add(trial.digest[:1])
        world.ask(Confirm)


def everyone_is_silent_at_a_promotion(world: World, process: Process | None, content: bytes) -> None:
    a_trial_is_taken_up(world, process, content)
    for each in living(world):
        each.stopped = True
    world.ask(Confirm)


def a_promotion_can_not_be_written(world: World, process: Process | None, content: bytes) -> None:
    somebody_confirms_a_trial(world, process, content)
    goes_on(world, lambda: world.owner and world.owner.core.state is ProposalState.STAGING)
    world.next_write = "absent"


def somebody_goes_back_in_a_trial(world: World, process: Process | None, content: bytes) -> None:
    a_trial_is_taken_up(world, process, content)
    world.ask(Rollback, version=None if content != b"C" else min(world.journal.rows, default=0))


def somebody_sets_in_a_trial(world: World, process: Process | None, content: bytes) -> None:
    a_trial_is_taken_up(world, process, content)
    trial = world.journal.operator.trial
    expect = None if trial is None or content == b"A" else trial.version - (content == b"C")
    world.ask(Set, values={"k": content.decode().lower()}, expect=expect)


def a_set_is_tried_and_hup(world: World, process: Process | None, content: bytes) -> None:
    world.ask(Set, values={"k": content.decode().lower()})
    goes_on(world, lambda: world.journal.operator.trial is not None)
    world.trigger()


def the_same_content_comes_in_a_trial(world: World, process: Process | None, content: bytes) -> None:
    a_trial_is_taken_up(world, process, content)
    world.trigger("watch") if content == b"A" else world.ask(Reload, canary=BY_WORKER if content == b"B" else None)


def other_content_comes_in_a_trial(world: World, process: Process | None, content: bytes) -> None:
    a_trial_is_taken_up(world, process, content)
    world.sources = None if world.sources is None else OTHER[world.sources[:1]]
    world.trigger("watch") if content == b"A" else world.ask(Resume if content == b"B" else Reload)


def somebody_forces_in_a_trial(world: World, process: Process | None, content: bytes) -> None:
    a_trial_is_taken_up(world, process, content)
    world.ask(Reload, force=True)


def a_canary_dies(world: World, process: Process | None, content: bytes) -> None:
    """Of it, or by its server."""
    a_trial_is_taken_up(world, process, content)
    if canaries := trying(world):
        world.kill(canaries[0], failed="" if content == b"C" else "was killed by signal 9")


def all_canaries_leave(world: World, process: Process | None, content: bytes) -> None:
    """By max_requests, one after the other; others start."""
    a_trial_is_taken_up(world, process, content)
    for each in trying(world):
        world.leave(each)
        world.kill(each)
        world.start_worker()


def a_worker_speaks(world: World, process: Process | None, content: bytes) -> None:
    canaries = trying(world)
    if process or canaries:
        world.speaks(canaries[0] if canaries and content != b"C" else process)


def a_canary_speaks_amid_a_load(world: World, process: Process | None, content: bytes) -> None:
    a_trial_is_taken_up(world, process, content)
    world.ask(Check) if content == b"A" else world.trigger()
    state = ProposalState.STAGING if content == b"A" else ProposalState.LOADING
    goes_on(world, lambda: world.owner and world.owner.core.state is state and not world.owner.effects)
    if canaries := trying(world):
        world.speaks(canaries[0])


def a_probe_says_no(world: World, process: Process | None, content: bytes) -> None:
    a_trial_is_taken_up(world, process, content)
    if world.owner is not None:  # whose loop knows of no write before the core does, and begins the probe
        trial = world.owner.core.operator.trial
        world.probe(trial.version if trial is not None else world.owner.core.committed.version)


def a_canary_is_stopped_before_it_tries(world: World, process: Process | None, content: bytes) -> None:
    somebody_reloads_with_a_trial(world, process, content)
    goes_on(world, lambda: world.journal.operator.trial is not None)
    goes_on(world, lambda: world.journal.operator.trial is None or _are_to_try(world))
    for each in _are_to_try(world) or ([process] if process else []):
        world.stop(each, stuffed=content == b"A")


def nobody_takes_up_a_trial_and_it_ends_twice(world: World, process: Process | None, content: bytes) -> None:
    a_canary_is_stopped_before_it_tries(world, process, OTHER[content] if content == b"A" else content)
    for _ in range(2):
        a_trial_ends(world, process, content)
        goes_on(world, lambda: world.owner and not (world.owner.inputs or world.owner.effects))


def _are_to_try(world: World) -> list[Process]:
    """Those that were sent Try, and have not read it."""
    awake = [process for process in living(world) if process.pipe is not None]
    return [each for each in awake if any(isinstance(frame, Try) for frame in (*each.pipe.down, each.pipe.leaving))]


def a_canary_votes_late(world: World, process: Process | None, content: bytes) -> None:
    """Yes or no; it was silent when all others agreed."""
    if process:
        world.sources = another(world, content)
        if content != b"A":
            process.refuses.add(world.sources)
        world.stop(process, stuffed=False)
        world.ask(Reload, canary=BY_SHARE if content == b"A" else BY_ENTITY)
        goes_on(world, lambda: world.journal.operator.trial is not None)
        process.stopped = False


def a_trial_can_not_be_undone(world: World, process: Process | None, content: bytes) -> None:
    a_trial_is_taken_up(world, process, content)
    world.next_write = "absent"
    a_worker_speaks(world, process, b"A")


def the_owner_is_killed_in_a_trial(world: World, process: Process | None, content: bytes) -> None:
    """As soon as it is written, or once it is taken up; the next one starts, or a next server."""
    if content == b"A":
        somebody_reloads_with_a_trial(world, process, OTHER[content])
        goes_on(world, lambda: world.journal.operator.trial is not None)
    else:
        a_trial_is_taken_up(world, process, content)
    world.server_starts_anew() if content == b"C" and world.journal.rows else world.kill_owner()


def a_next_generation_comes_in_a_trial(world: World, process: Process | None, content: bytes) -> None:
    a_trial_is_taken_up(world, process, content)
    world.hands_over_or_goes_on()


def a_trial_with_a_window(world: World, process: Process | None, content: bytes) -> None:
    """The window begins with its promotion, or is open before it."""
    world.sources = another(world, content)
    world.ask(Reload, confirm_within=9.0, canary=BY_WORKER if content == b"B" else None, force=content != b"B")
    goes_on(world, lambda: world.journal.operator.trial is not None or world.journal.operator.window is not None)
    a_trial_is_taken_up(world, process, OTHER[content])
    if content == b"C":
        world.ask(Rollback)
    elif content == b"B":
        world.ask(Confirm)


def a_window_is_confirmed_in_a_trial(world: World, process: Process | None, content: bytes) -> None:
    """And its barrier waits for a worker that has lost its pipe; a load that was given up may end meanwhile."""
    world.sources = another(world, content)
    if _pick(world, (True, False)):
        for each in living(world):
            each.lingers = True
        world.ask(Reload, wait_observers=30.0)
        goes_on(world, lambda: world.first_move() is None)
        world.sources = another(world, content)
    world.ask(Reload, confirm_within=60.0, force=True)
    goes_on(world, lambda: world.journal.operator.window is not None and world.first_move() is None)
    a_trial_is_taken_up(world, process, OTHER[content])
    newest = max(world.journal.rows, default=0)
    if process:
        world.break_pipe(process, lose_frames=False)
        process.stopped = True
    if how := _pick(world, (0, 1, 2)):
        _a_load_lasts(world, check=how == 1)
    world.ask(Confirm, version=newest)
    if content != b"A":
        _reaches(world, ProposalState.COMMITTING)
        _load_ends(world)


def a_canary_says_late_that_it_tries(world: World, process: Process | None, content: bytes) -> None:
    """When it is promoted, or undone, by then, and something else has begun."""
    if _pick(world, (False, False, True)):
        world.ask(Rollback)
        goes_on(world, lambda: world.first_move() is None)
        world.ask(Set, values={"k": "x"})
    else:
        world.sources = another(world, content)
        world.ask(Reload, canary=CANARIES[content], confirm_within=_pick(world, (0.0, 60.0)))
    goes_on(world, lambda: world.journal.operator.trial is not None)
    goes_on(world, lambda: world.journal.operator.trial is None or _are_to_try(world))
    for each in _are_to_try(world):
        each.pipe.late = True
    world.ask(_pick(world, (Rollback, Confirm, Confirm, Confirm)))
    goes_on(world, lambda: world.journal.operator.trial is None)
    if content != b"A":
        goes_on(world, lambda: world.first_move() is None)
        kind, asked = _pick(world, _LATER)
        world.sources = another(world, content)
        world.ask(kind, **asked)
        _reaches(world, _pick(world, (*ProposalState,)))
        _what_was_late_comes(world)


_LATER: tuple[tuple[type, dict[str, Any]], ...] = (
    (Reload, {"force": True}),
    (Rollback, {}),
    (Reload, {"confirm_within": 9.0, "force": True}),
    (Set, {"values": {"k": "z"}}),
    (Check, {}),
)


def _pick(world: World, options: Sequence[T]) -> T:
    """One of these, by what has happened in the world before."""
    return options[(7 * world.calls + 13 * len(world.pipes) + 5 * world.owners + int(world.now)) % len(options)]


def _reaches(world: World, state: ProposalState) -> None:
    goes_on(world, lambda: world.owner and world.owner.core.state is state and not world.owner.effects)


def _what_was_late_comes(world: World) -> None:
    """One message of each worker, now."""
    for pipe in [*world.open_pipes]:
        if pipe.late and pipe.up and pipe.owner_open and world.owner and not world.owner.effects:
            world._receive(pipe)
        pipe.late = False


def _load_ends(world: World) -> None:
    """The load that hung, or its check, now."""
    world.hangs = False
    if world.owner is not None and not world.owner.effects:
        if world.owner.unchecked:
            world.finish_check()
        elif world.owner.loads:
            world.finish_load()


def _a_load_lasts(world: World, *, check: bool) -> None:
    """A load hangs, and is given up; or a dry run has ended before its check."""
    world.sources = OTHER[world.sources[:1]] if world.sources and (check or _pick(world, (True, False))) else None
    world.sources = world.sources or (b"A" if check else None)
    world.next_check_fails = _pick(world, (True, False))
    world.hangs = not check
    world.ask(Check) if check else world.trigger()
    _reaches(world, ProposalState.STAGING if check else ProposalState.LOADING)
    world.hangs = True
    if not check:
        a_deadline_comes(world, fx.Timer.LOAD)
    goes_on(world, lambda: world.first_move() is None)


def a_load_is_given_up_and_ends_late(world: World, process: Process | None, content: bytes) -> None:
    """Or a check, of a dry run or of what was proposed; meanwhile something begins that no load is needed for."""
    _something_begins(world, process, content)
    _a_load_lasts(world, check=_pick(world, (True, False)))
    if _pick(world, (False, False, True)):  # in which its check hangs
        world.hangs, world.sources = False, another(world, content)
        world.trigger()
        _reaches(world, ProposalState.STAGING)
        world.hangs = True
        for _ in range(3):
            a_deadline_comes(world, fx.Timer.STAGE)
            goes_on(world, lambda: world.first_move() is None)
    rows = world.journal.rows
    others = [None, *(each for each in rows if rows[each] != rows[max(rows)])]
    begin = _pick(world, (0, 1, 1, 2, 3))
    if begin == 1:
        world.ask(Rollback, version=others[-1])
    elif begin:
        world.ask(Confirm if begin == 2 else Rollback)
    if begin:
        _reaches(world, _pick(world, (ProposalState.STAGING, ProposalState.RECORDING, ProposalState.COMMITTING)))
    _load_ends(world)


def _something_begins(world: World, process: Process | None, content: bytes) -> None:
    """What runs is settled, or in a window, or something is on trial; or it is held."""
    if content == b"B":
        world.sources = another(world, content)
        world.ask(Reload, confirm_within=60.0, force=True)
    elif content == b"C":
        a_trial_is_taken_up(world, process, content)
    elif _pick(world, (True, False)):
        world.ask(Rollback)
    goes_on(world, lambda: world.first_move() is None)


def something_is_written_while_it_is_held(world: World, process: Process | None, content: bytes) -> None:
    """A worker comes back meanwhile, or says late what it has said; or deadlines come that do not count any more."""
    for each in living(world):
        each.lingers = True
    world.ask(Reload, wait_observers=3.0, confirm_within=_pick(world, (0.0, 6.0)))
    goes_on(world, lambda: world.first_move() is None)
    world.ask(Rollback)
    goes_on(world, lambda: world.first_move() is None)
    if (late := _pick(world, (True, False))) and process and process.pipe is not None and process.held is not None:
        process.pipe.late = True
        (world.speaks if content == b"A" else lambda who: world.counts(who, 5))(process)
    world.ask(Set, values={"k": content.decode().lower()})
    _reaches(world, ProposalState.RECORDING)
    if late:
        _what_was_late_comes(world)
    elif process and _pick(world, (True, False)):
        _comes_back(world, process)
    else:
        _all_deadlines_come(world)


def _comes_back(world: World, process: Process) -> None:
    """On a new pipe, before the end of the one before is noticed."""
    if process.pipe is not None and process.can_connect and process.pipe.received:
        world.break_pipe(process, lose_frames=False)
        world.connect(process)
        if world.owner is not None and not world.owner.effects:
            world._receive(process.pipe)


def _all_deadlines_come(world: World) -> None:
    for timer in (fx.Timer.OBSERVERS, fx.Timer.EXPIRY, fx.Timer.CONFIRM, fx.Timer.PROVEN, fx.Timer.TRIAL):
        a_deadline_comes(world, timer)


def a_dry_run_ends_before_its_check(world: World, process: Process | None, content: bytes) -> None:
    """Since nobody runs what is committed, an undo is due: who has it dies, and the others decline."""
    if not process:
        return
    others = [each for each in living(world) if each is not process]
    wanted = OTHER[content] if content == b"C" else content
    if content == b"A" and _pick(world, (True, False)):
        world.ask(Rollback)
        goes_on(world, lambda: world.first_move() is None)
    for each in others:
        world.stop(each, stuffed=False)
        each.refuses.add(wanted)
    world.sources = wanted
    window = {"confirm_within": 60.0} if content == b"C" else {}
    world.ask(Set, values={"k": "y"}) if world.journal.operator.hold else world.ask(Reload, force=True, **window)
    goes_on(world, lambda: any(isinstance(frame, Commit) for frame in _unread(process)))
    world.kill(process)
    _reaches(world, ProposalState.IDLE)
    world.sources = OTHER[wanted]
    world.ask(Check)
    _reaches(world, ProposalState.STAGING)
    world.hangs, world.next_check_fails = True, _pick(world, (True, False))
    for each in others:
        each.stopped = False
    _reaches(world, _pick(world, (ProposalState.RECORDING, ProposalState.COMMITTING, ProposalState.IDLE)))
    _load_ends(world)


def _unread(process: Process) -> list[object]:
    return [*process.pipe.down, process.pipe.leaving] if process.pipe else []


def late_deadlines_come_amid_something(world: World, process: Process | None, content: bytes) -> None:
    """All that are set for what is provisional, for an override or for a caller, in whatever state it is."""
    for each in living(world):
        each.lingers = True
    world.sources = another(world, content)
    world.ask(Reload, wait_observers=3.0, force=True)
    goes_on(world, lambda: world.first_move() is None)
    if _pick(world, (True, True, False)):
        _something_begins(world, process, content)
    world.sources = another(world, OTHER[content])
    world.ask(Check) if _pick(world, (True, False)) else world.trigger()
    _reaches(world, _pick(world, (*ProposalState,)[1:]))
    _all_deadlines_come(world)


def an_override_ends_in_a_trial(world: World, process: Process | None, content: bytes) -> None:
    world.ask(Set, values={"k": "x"}, ttl=3.0)
    goes_on(world, lambda: world.journal.operator.expires)
    a_trial_is_taken_up(world, process, content)
    world.time_passes(3.0)


TRIALS = (
    somebody_reloads_with_a_trial,
    a_trial_is_taken_up,
    requests_end,
    a_trial_has_evidence_and_ends,
    a_trial_ends,
    a_trial_ends_amid_a_load,
    somebody_confirms_a_trial,
    a_promotion_is_refused,
    everyone_is_silent_at_a_promotion,
    a_promotion_can_not_be_written,
    somebody_goes_back_in_a_trial,
    *(somebody_sets_in_a_trial,) * 3,
    a_set_is_tried_and_hup,
    the_same_content_comes_in_a_trial,
    other_content_comes_in_a_trial,
    somebody_forces_in_a_trial,
    a_canary_dies,
    all_canaries_leave,
    a_worker_speaks,
    a_canary_speaks_amid_a_load,
    a_probe_says_no,
    a_canary_is_stopped_before_it_tries,
    nobody_takes_up_a_trial_and_it_ends_twice,
    a_canary_votes_late,
    a_trial_can_not_be_undone,
    the_owner_is_killed_in_a_trial,
    a_next_generation_comes_in_a_trial,
    a_trial_with_a_window,
    *(a_window_is_confirmed_in_a_trial,) * 2,
    a_load_is_given_up_and_ends_late,
    something_is_written_while_it_is_held,
    a_dry_run_ends_before_its_check,
    late_deadlines_come_amid_something,
    a_canary_says_late_that_it_tries,
    an_override_ends_in_a_trial,
)
