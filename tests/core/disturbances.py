"""What may happen to a world from outside, by name: each acts on the world, one of its living processes and a content.

`process` is None when nobody lives; what makes no sense then does nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import ProposalState
from confcast.wire.messages import (
    Check,
    Commit,
    Confirm,
    Counts,
    Prepare,
    Reload,
    Resume,
    Rollback,
    Set,
    Unhealthy,
    Unset,
    Vote,
)
from tests.core.simulation import Process, World
from tests.core.trial_disturbances import BY_ENTITY, BY_WORKER, TRIALS, a_deadline_comes, living
from tests.core.trial_disturbances import goes_on as _goes_on

Disturb = Callable[[World, Process | None, bytes], None]
CROWD = 5


def sources_change_and_somebody_calls(world, process, content):
    world.sources = content
    world.call()


def sources_change_and_hup(world, process, content):
    world.sources = content
    world.trigger("signal")


def sources_change_unheard(world, process, content):
    world.sources = content


def a_value_that_needs_a_restart_changes(world, process, content):
    """Or goes back to what runs."""
    world.waits = b"" if content == b"A" else content
    world.trigger("watch")


def sources_are_bad(world, process, content):
    world.sources = None
    world.trigger("watch")


def hup(world, process, content):
    world.trigger("signal")


def two_clients_call(world, process, content):
    """The second one has changed the sources, after the first has asked."""
    world.call()
    world.sources = content
    world.call()


def somebody_waits_for_observers(world, process, content):
    world.call(wait_observers=3.0)


def sources_change_and_somebody_waits_for_observers(world, process, content):
    world.sources = content
    world.call(wait_observers=3.0)


def somebody_goes_back(world, process, content):
    """To the version that ran before, or to one that is named, or to one that is not kept."""
    numbers = [None, *sorted(world.journal.rows)[-2:], 4711]
    world.ask(Rollback, version=numbers[content[0] % len(numbers)])


def somebody_goes_back_to_what_was_seen(world, process, content):
    world.ask(Rollback, expect=_newest(world) - (content == b"B"))


def somebody_goes_back_and_the_sources_change(world, process, content):
    world.ask(Rollback)
    sources_change_and_hup(world, process, content)


def somebody_goes_back_while_everyone_is_silent(world, process, content):
    for each in living(world):
        each.stopped = True
    world.ask(Rollback)


def somebody_resumes(world, process, content):
    world.ask(Resume, expect=_newest(world) if content == b"C" else None)


def somebody_forces_a_reload(world, process, content):
    world.sources = content
    world.ask(Reload, force=True)


def two_reload_what_they_have_seen(world, process, content):
    world.sources, seen = content, _newest(world)
    world.ask(Reload, expect=seen)
    world.ask(Reload, process, expect=seen)


def somebody_tries(world, process, content):
    world.sources = content
    world.ask(Check)


def somebody_tries_what_one_worker_refuses(world, process, content):
    if process:
        process.refuses.add(content)
    somebody_tries(world, process, content)


def two_try_and_somebody_sets(world, process, content):
    world.ask(Check)
    world.ask(Check, process)
    world.ask(Set, values=_value(content))


def somebody_tries_while_everyone_is_silent(world, process, content):
    for each in living(world):
        each.stopped = True
    somebody_tries(world, process, content)


def somebody_tries_values(world, process, content):
    world.ask(Check, values=_value(content), actor="ann")


def somebody_tries_files(world, process, content):
    world.ask(Check, process, files={"app.toml": content})


def somebody_allows_what_trips_a_guard(world, process, content):
    world.sources, world.a_guard_trips = content, True
    world.ask(Set, values=_value(content), allow=("a guard",)) if content == b"C" else world.ask(
        Reload, process, allow=("a guard",), origin="command"
    )


def somebody_says_why(world, process, content):
    """And for whom; a script asks, or a person by way of a page."""
    kind, asked = _SAYING_WHY[(content[0] + world.calls) % len(_SAYING_WHY)]
    if kind is Reload:
        world.sources = content
    world.ask(kind, process, reason="a drill", actor="ann", **asked)


_SAYING_WHY = (
    (Reload, {"origin": "command"}),
    (Rollback, {}),
    (Set, {"values": {"k": "y"}}),
    (Unset, {"keys": ("k",)}),
    (Resume, {}),
    (Confirm, {}),
)


def something_else_was_expected(world, process, content):
    """By each of those that may say so, whatever is under way."""
    kinds = ((Reload, {}), (Set, {"values": _value(content)}), (Unset, {"keys": ("k",)}), (Resume, {}), (Rollback, {}))
    for kind, asked in kinds[content[0] % 2 :: 2]:
        world.ask(kind, expect=_newest(world) - 1, **asked)


def somebody_sets(world, process, content):
    world.ask(Set, process, values=_value(content))


def two_set_what_they_have_seen(world, process, content):
    seen = _newest(world)
    world.ask(Set, values=_value(content), expect=seen)
    world.ask(Set, process, values={"k": "z"}, expect=seen)


def somebody_sets_for_a_time(world, process, content):
    world.ask(Set, values=_value(content), ttl=content[0] % 3 * 2.0)


def somebody_sets_for_a_time_and_the_sources_break(world, process, content):
    world.ask(Set, values=_value(content), ttl=4.0)
    if content != b"A":
        _goes_on(world, lambda: world.journal.operator.expires)
    sources_are_bad(world, process, content)
    if content == b"C":
        a_deadline_comes(world, fx.Timer.EXPIRY)


def somebody_unsets(world, process, content):
    world.ask(Unset, keys=("k",))


def somebody_reloads_with_a_window(world, process, content):
    world.sources = content
    world.ask(Reload, confirm_within=_seconds(content))


def somebody_sets_with_a_window(world, process, content):
    world.ask(Set, process, values=_value(content), confirm_within=_seconds(content))


def somebody_extends_a_window(world, process, content):
    world.ask(Reload, confirm_within=_seconds(content))


def somebody_confirms(world, process, content):
    """Whatever runs, or what was seen to run, or what never ran."""
    world.ask(Confirm, version={b"A": 0, b"B": _newest(world), b"C": 4711}[content])


def the_sources_change_in_a_window(world, process, content):
    somebody_reloads_with_a_window(world, process, content)
    _goes_on(world, lambda: world.journal.operator.window is not None)
    sources_change_and_hup(world, process, {b"A": b"B", b"B": b"C", b"C": b"A"}[content])


def somebody_goes_back_in_a_window(world, process, content):
    somebody_reloads_with_a_window(world, process, content)
    _goes_on(world, lambda: world.journal.operator.window is not None)
    world.ask(Rollback, version=None if content == b"A" else min(world.journal.rows, default=0))


def a_window_ends(world, process, content):
    """Its deadline comes, wherever the owner is."""
    if (window := world.journal.operator.window) is not None:
        world.time_passes(max(0.0, window.deadline - world.now))
        if world.owner is not None and not world.owner.effects:
            world.next_deadline()


def a_window_ends_amid_a_vote(world, process, content):
    """Or amid a load."""
    somebody_reloads_with_a_window(world, process, content)
    _goes_on(world, lambda: world.journal.operator.window is not None)
    sources_change_and_hup(world, process, {b"A": b"B", b"B": b"C", b"C": b"A"}[content])
    state = ProposalState.LOADING if content == b"A" else ProposalState.STAGING
    if process:
        world.stop(process, stuffed=False)
    _goes_on(world, lambda: world.owner and world.owner.core.state is state and not world.owner.effects)
    a_window_ends(world, process, content)


def a_window_ends_and_can_not_be_undone(world, process, content):
    world.next_write = "absent"
    a_window_ends(world, process, content)


def a_window_ends_while_no_owner_lives(world, process, content):
    world.kill_owner()
    a_window_ends(world, process, content)


def worker_speaks_against_what_it_runs(world, process, content):
    """Or against a version before that, or one that never was."""
    if process and process.held:
        version = process.held.version - {b"A": 0, b"B": 1, b"C": -4711}[content]
        world.says(process, Unhealthy(version, "the pool is empty"))


def worker_counts_errors(world, process, content):
    """With what it runs; and none, or as many, with what the others fall back to."""
    if process and process.held:
        version, window = process.held.version, world.journal.operator.window
        other = window.fallback if window is not None else version - 1
        before = Counts(other, 1000, 900 if content == b"C" else 0)
        world.says(process, before, Counts(version, 100, 90))


def a_probe_says_no(world, process, content):
    if world.owner is not None:
        newest = world.owner.core.committed.version  # as its loop knows it, which begins the probe
        world.owner.inputs.append(fx.Probed(newest - (content == b"C"), "GET /health gave 503"))


def two_workers_die_of_what_they_run(world, process, content):
    """Or one; another is started in their place."""
    for each in living(world)[: 1 + (content != b"C")]:
        world.kill(each, failed="was killed by signal 9")
    if len(living(world)) < CROWD:
        world.start_worker()


def a_probation_begins(world):
    """Something new is committed, where there is anything to fall back to, or will be."""
    _goes_on(world, lambda: world.journal.good)
    runs = world.journal.rows.get(_newest(world))
    others = [each for each in (b"A", b"B", b"C") if each != runs and not world.journal.was_good(each)]
    sources_change_and_somebody_calls(world, None, next(iter(others), b"B"))
    _goes_on(world, lambda: world.journal.operator.window is not None)


def what_is_on_probation_is_spoken_against(world, process, content):
    a_probation_begins(world)
    _goes_on(world, lambda: _who_run(world, _newest(world)))
    _SPEAK[content](world, next(iter(_who_run(world, _newest(world))), process), b"A")


def what_is_on_probation_is_spoken_against_amid_a_vote(world, process, content):
    """Or amid a load, or amid the write of what supersedes it, which fails or does not."""
    a_probation_begins(world)
    _goes_on(world, lambda: world.first_move() is None)
    sources_change_and_hup(world, process, content)
    state = {b"A": ProposalState.LOADING, b"B": ProposalState.STAGING, b"C": ProposalState.RECORDING}[content]
    if process and content == b"B":
        world.stop(process, stuffed=False)
    world.next_write = "absent" if content == b"C" and process and process.pid % 2 else world.next_write
    _goes_on(world, lambda: world.owner and world.owner.core.state is state and not world.owner.effects)
    a_probe_says_no(world, process, b"A")
    if world.owner:
        world.owner.inputs.rotate()  # before the outcome of the write


def what_is_on_probation_is_spoken_against_and_can_not_be_undone(world, process, content):
    a_probation_begins(world)
    world.next_write = "absent"
    a_probe_says_no(world, process, content)


def what_is_on_probation_is_spoken_against_as_its_barrier_ends(world, process, content):
    """Or it is not; and its time is over before the owner knows that all connections are accepted."""
    a_probation_begins(world)
    _goes_on(world, lambda: world.owner and world.owner.awaited is not None)
    if content != b"C":
        a_probe_says_no(world, process, content)
    _goes_on(world, lambda: not (world.owner and world.owner.inputs))
    a_probation_ends(world, process, b"A")


def something_supersedes_what_is_on_probation(world, process, content):
    a_probation_begins(world)
    if content == b"A":
        sources_change_and_hup(world, process, b"C")
    elif content == b"B":
        somebody_extends_a_window(world, process, content)
    else:
        somebody_sets(world, process, content)


def somebody_ends_a_probation(world, process, content):
    a_probation_begins(world)
    world.ask(Rollback if content == b"A" else Confirm)


def a_probation_ends(world, process, content):
    """Its time comes, wherever the owner is, or while none lives."""
    if content == b"C":
        world.kill_owner()
    if (window := world.journal.operator.window) is not None:
        world.time_passes(max(0.0, window.proves - world.now))


def a_probation_ends_amid_the_write_of_what_supersedes_it(world, process, content):
    """Which is spoken against, or not."""
    a_probation_begins(world)
    _goes_on(world, lambda: world.first_move() is None)
    window = world.journal.operator.window
    world.time_passes(1.0)
    runs = world.journal.rows.get(_newest(world))
    sources_change_and_hup(world, process, next(each for each in (b"C", b"B", b"A") if each != runs))
    _goes_on(world, lambda: world.owner and world.owner.core.state is ProposalState.RECORDING)
    _goes_on(world, lambda: not (world.owner and world.owner.effects))
    world.time_passes(max(0.0, window.proves - world.now) if window is not None else 0.0)
    _goes_on(world, lambda: not (world.owner and (world.owner.effects or world.owner.inputs)))
    if content != b"C":
        a_probe_says_no(world, process, b"A")


def the_owner_is_killed_in_a_probation(world, process, content):
    a_probation_begins(world)
    if content == b"A":
        a_probe_says_no(world, process, content)
        _goes_on(world, lambda: world.owner and world.owner.core.state is ProposalState.RECORDING)
    world.kill_owner()


def a_server_starts_anew_in_a_probation(world, process, content):
    a_probation_begins(world)
    world.server_starts_anew()


def _who_run(world, version):
    here = [each for each in living(world) if each.pipe is not None and each.held is not None]
    return [each for each in here if each.held.version == version]


_SPEAK: dict[bytes, Disturb] = {
    b"A": worker_speaks_against_what_it_runs,
    b"B": worker_counts_errors,
    b"C": two_workers_die_of_what_they_run,
}


def time_passes(world, process, content):
    world.time_passes(float(content[0] - ord("A") + 1))


def server_starts_anew(world, process, content):
    """On the sources that it ran on, or on broken ones, which are mended while it serves what was good, or not."""
    world.sources = world.sources if content == b"A" else None
    world.server_starts_anew()
    if content == b"C":
        world.start_worker()
        _goes_on(world, lambda: world.journal.operator.hold is not None)
        sources_change_and_hup(world, process, content)


def a_next_generation_comes_or_is_called_off(world, process, content):
    world.hands_over_or_goes_on()


def _seconds(content):
    return (content[0] - ord("A") + 1) * 3.0


def _value(content):
    return {"k": content.decode().lower()}


def _newest(world):
    return max(world.journal.rows, default=0)


def somebody_waits_for_an_observer_that_fails(world, process, content):
    if process:
        process.lingers = True
        sources_change_and_somebody_waits_for_observers(world, process, content)
        _goes_on(world, lambda: process.asked)
        observer_fails(world, process, content)
        process.lingers = False


def somebody_waits_for_observers_while_something_else_begins(world, process, content):
    """They linger: the caller still waits when what runs is held, on trial or provisional."""
    for each in living(world):
        each.lingers = True
    sources_change_and_somebody_waits_for_observers(world, process, content)
    _goes_on(world, lambda: world.first_move() is None)
    kind, asked = _BEGINNING[(content[0] + world.calls) % len(_BEGINNING)]
    world.sources = {b"A": b"B", b"B": b"C", b"C": b"A"}[content]
    world.ask(kind, **asked)
    _goes_on(world, lambda: world.first_move() is None)
    if process:
        process.lingers = False


_BEGINNING = (
    (Rollback, {}),
    (Reload, {"canary": BY_WORKER}),
    (Reload, {"canary": BY_ENTITY}),
    (Reload, {"confirm_within": 9.0}),
    (Set, {"values": {"k": "y"}, "confirm_within": 9.0}),
)


def observers_linger_or_go_on(world, process, content):
    if process:
        process.lingers = not process.lingers


def observer_fails(world, process, content):
    if process and not process.stopped:
        world.observer_fails(process)


def caller_goes(world, process, content):
    world.caller_goes()


def worker_calls(world, process, content):
    world.call(process)


def worker_starts(world, process, content):
    if len(living(world)) < CROWD:
        world.start_worker()


def worker_forks(world, process, content):
    if process and len(living(world)) < CROWD:
        world.fork(process)


def worker_dies(world, process, content):
    if process:
        world.kill(process)


def worker_leaves(world, process, content):
    if process:
        world.leave(process)


def worker_of_another_schema_starts(world, process, content):
    """A respawned one, after a deploy."""
    if len(living(world)) < CROWD:
        world.start_worker(schema=b"another")


def worker_of_another_protocol_starts(world, process, content):
    if len(living(world)) < CROWD:
        world.start_worker(protocol=99)


def stranger_talks(world, process, content):
    world.a_stranger_talks(Vote(world.owner.core.round if world.owner else 1, True))


def worker_stops_or_resumes(world, process, content):
    _stop_or_resume(world, process, stuffed=False)


def worker_stops_with_its_pipe_full(world, process, content):
    _stop_or_resume(world, process, stuffed=True)


def _stop_or_resume(world, process, *, stuffed):
    if process and process.stopped:
        process.stopped = False
    elif process:
        world.stop(process, stuffed=stuffed)


def worker_begins_or_ceases_to_refuse(world, process, content):
    if process:
        process.refuses ^= {content}


def worker_becomes_slow_or_fast(world, process, content):
    if process:
        process.slow = not process.slow


def a_vote_takes_long_and_another_follows(world, process, content):
    """In which one worker votes first. It dies or loses its pipe; or nobody agrees, in a dry run or not."""
    _all_vote_for_long(world, content)
    if content == b"A":
        sources_change_and_somebody_calls(world, process, content)
        _goes_on(world, lambda: _voting(world))
        for each in _voting(world)[:1]:
            world.kill(each) if each.pid % 2 else world.break_pipe(each, lose_frames=False)
        return
    for each in living(world):
        each.refuses.add(content)
    world.sources = content
    world.ask(Check) if content == b"C" else world.call()


def a_first_vote_takes_longer_than_it_has(world, process, content):
    """Its function does, or it is stopped before it has begun."""
    _all_vote_for_long(world, content)
    sources_change_and_somebody_calls(world, process, content)
    _goes_on(world, lambda: _asked(world) if content == b"C" else _voting(world))
    for each in _asked(world) if content == b"C" else ():
        world.stop(each, stuffed=False)
        _goes_on(world, lambda: world.first_move() is None)
    a_deadline_comes(world, fx.Timer.STAGE)


def _asked(world):
    return [each for each in living(world) if any(isinstance(frame, Prepare) for frame in _unread(each))]


def _all_vote_for_long(world, content):
    """Everybody is slow, and votes for another content than this one, as far as it gets."""
    while len(living(world)) < 3:
        world.start_worker()
    for each in living(world):
        each.slow = True
    sources_change_and_hup(world, None, b"B" if content == b"A" else b"A")
    _goes_on(world, lambda: world.first_move() is None)


def _voting(world):
    return [each for each in living(world) if isinstance(each.inside, Prepare)]


def worker_changes_in_place_what_it_holds(world, process, content):
    if process:
        process.altered = True


def everyone_stops_at_the_vote_or_resumes(world, process, content):
    stopped = [each for each in living(world) if each.stopped]
    for each in stopped or living(world):
        each.stopped = not stopped
    if not stopped:
        sources_change_and_somebody_calls(world, process, content)


def everyone_refuses_what_is_committed(world, process, content):
    """Who voted yes dies before it applies; the others were silent, and refuse."""
    if process:
        others = [each for each in living(world) if each is not process]
        for each in others:
            world.stop(each, stuffed=False)
            each.refuses.add(content)
        sources_change_and_somebody_calls(world, process, content)
        _goes_on(world, lambda: any(isinstance(frame, Commit) for frame in _unread(process)))
        world.kill(process)
        world.next_write = "absent" if content == b"C" else "ok"
        for each in others:
            each.stopped = False
        world.trigger()


def refusal_comes_too_late(world, process, content):
    if process:
        process.refuses.add(content)
        world.stop(process, stuffed=False)
        sources_change_and_somebody_calls(world, process, content)
        _goes_on(world, lambda: any(isinstance(frame, Commit) for frame in _unread(process)))
        process.stopped = False


def a_worker_starts_on_what_another_refuses(world, process, content):
    refusal_comes_too_late(world, process, content)
    _goes_on(world, lambda: world.first_move() is None)
    world.snapshot = None
    worker_starts(world, process, content)


def worker_suffers_before_it_reads_the_commit(world, process, content):
    if process:
        sources_change_and_somebody_calls(world, process, content)
        _goes_on(world, lambda: any(isinstance(frame, Commit) for frame in _unread(process)))
        world.stop(process, stuffed=False) if content == b"A" else world.kill(process)


def _unread(process):
    return [*process.pipe.down, process.pipe.leaving] if process.pipe else []


def pipe_breaks(world, process, content):
    if process:
        world.break_pipe(process, lose_frames=False)


def what_a_worker_says_comes_late(world, process, content):
    """Or no more; or it goes on late, after something else."""
    if process and process.pipe is not None and process.pipe.received:
        process.pipe.late = not process.pipe.late
        if content != b"A":
            _goes_on(world, lambda: world.first_move() is None)


def what_all_say_comes_late_but_of_one(world, process, content):
    here = [each for each in living(world) if each is not process and each.pipe is not None and each.pipe.received]
    for each in here:
        each.pipe.late = True
    sources_change_and_somebody_calls(world, process, content)
    _goes_on(world, lambda: world.first_move() is None)


def a_worker_says_hello_once_more(world, process, content):
    if process:
        world.says(process, process.hello())


def pipe_breaks_and_loses_frames(world, process, content):
    if process:
        world.break_pipe(process, lose_frames=True)


def next_write_fails(world, process, content):
    world.next_write = "absent"


def next_write_fails_and_is_there(world, process, content):
    world.next_write = "present"


def journal_is_unreadable(world, process, content):
    world.next_write = "unreadable"


def journal_is_unreadable_and_written(world, process, content):
    world.next_write = "unreadable, written"


def journal_is_deleted(world, process, content):
    world.lose_journal()


def journal_goes_back(world, process, content):
    world.kill_owner()
    world.journal_goes_back()


def journal_goes_back_and_can_not_be_written(world, process, content):
    world.next_write = "absent"
    journal_goes_back(world, process, content)


def master_goes(world, process, content):
    world.master_goes()


def disk_fills_up_or_is_freed(world, process, content):
    world.disk_is_full = not world.disk_is_full


def next_check_fails_or_a_guard_trips(world, process, content):
    world.next_check_fails, world.a_guard_trips = content != b"C", content == b"C"


def loads_hang_or_go_on(world, process, content):
    world.hangs = not world.hangs


def owner_is_killed(world, process, content):
    world.kill_owner()


def owner_is_killed_amid_its_commits(world, process, content):
    def has_written():
        return world.owner and any(isinstance(effect, fx.WriteSnapshot) for effect in world.owner.effects)

    sources_change_and_somebody_calls(world, process, content)
    _goes_on(world, has_written)
    for _ in range(content[0] - ord("A") + 1):
        if world.owner and world.owner.effects:
            world.perform()
    world.kill_owner()


def owner_is_started(world, process, content):
    world.start_owner()


def deadline_comes(world, process, content):
    world.next_deadline()


WITHOUT_TRIALS: tuple[Disturb, ...] = (
    deadline_comes,
    sources_change_and_somebody_calls,
    sources_change_and_hup,
    sources_change_unheard,
    sources_are_bad,
    a_value_that_needs_a_restart_changes,
    hup,
    two_clients_call,
    somebody_waits_for_observers,
    sources_change_and_somebody_waits_for_observers,
    somebody_goes_back,
    somebody_goes_back_to_what_was_seen,
    somebody_goes_back_and_the_sources_change,
    somebody_goes_back_while_everyone_is_silent,
    somebody_resumes,
    somebody_forces_a_reload,
    two_reload_what_they_have_seen,
    somebody_tries,
    somebody_tries_what_one_worker_refuses,
    two_try_and_somebody_sets,
    somebody_tries_while_everyone_is_silent,
    somebody_tries_values,
    somebody_tries_files,
    somebody_allows_what_trips_a_guard,
    somebody_says_why,
    something_else_was_expected,
    somebody_sets,
    two_set_what_they_have_seen,
    somebody_sets_for_a_time,
    somebody_sets_for_a_time_and_the_sources_break,
    somebody_unsets,
    somebody_reloads_with_a_window,
    somebody_sets_with_a_window,
    somebody_extends_a_window,
    somebody_confirms,
    the_sources_change_in_a_window,
    somebody_goes_back_in_a_window,
    a_window_ends,
    a_window_ends_amid_a_vote,
    a_window_ends_and_can_not_be_undone,
    a_window_ends_while_no_owner_lives,
    worker_speaks_against_what_it_runs,
    worker_counts_errors,
    a_probe_says_no,
    two_workers_die_of_what_they_run,
    *(what_is_on_probation_is_spoken_against,) * 2,
    what_is_on_probation_is_spoken_against_amid_a_vote,
    *(what_is_on_probation_is_spoken_against_and_can_not_be_undone,) * 2,
    what_is_on_probation_is_spoken_against_as_its_barrier_ends,
    something_supersedes_what_is_on_probation,
    somebody_ends_a_probation,
    a_probation_ends,
    a_probation_ends_amid_the_write_of_what_supersedes_it,
    the_owner_is_killed_in_a_probation,
    a_server_starts_anew_in_a_probation,
    time_passes,
    server_starts_anew,
    a_next_generation_comes_or_is_called_off,
    somebody_waits_for_observers_while_something_else_begins,
    somebody_waits_for_an_observer_that_fails,
    observers_linger_or_go_on,
    observer_fails,
    caller_goes,
    worker_calls,
    worker_starts,
    worker_forks,
    worker_dies,
    worker_leaves,
    worker_of_another_schema_starts,
    worker_of_another_protocol_starts,
    stranger_talks,
    worker_stops_or_resumes,
    worker_stops_with_its_pipe_full,
    worker_begins_or_ceases_to_refuse,
    refusal_comes_too_late,
    a_worker_starts_on_what_another_refuses,
    worker_becomes_slow_or_fast,
    a_vote_takes_long_and_another_follows,
    a_first_vote_takes_longer_than_it_has,
    worker_changes_in_place_what_it_holds,
    everyone_stops_at_the_vote_or_resumes,
    *(everyone_refuses_what_is_committed,) * 4,  # which seldom finds the workers that it needs
    worker_suffers_before_it_reads_the_commit,
    what_a_worker_says_comes_late,
    what_all_say_comes_late_but_of_one,
    a_worker_says_hello_once_more,
    pipe_breaks,
    pipe_breaks_and_loses_frames,
    next_write_fails,
    next_write_fails_and_is_there,
    journal_is_unreadable,
    journal_is_unreadable_and_written,
    journal_is_deleted,
    journal_goes_back,
    journal_goes_back_and_can_not_be_written,
    master_goes,
    disk_fills_up_or_is_freed,
    next_check_fails_or_a_guard_trips,
    loads_hang_or_go_on,
    owner_is_killed,
    owner_is_killed_amid_its_commits,
    owner_is_started,
)
DISTURBANCES = (*WITHOUT_TRIALS, *TRIALS)
