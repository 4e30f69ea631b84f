"""What may happen to a world from outside, by name: each acts on the world, one of its living processes and a content.

`process` is None when nobody lives; what makes no sense then does nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.core.simulation import Process, World

Disturb = Callable[[World, Process | None, bytes], None]
CROWD = 5


def living(world: World) -> list[Process]:
    return [process for process in world.processes if process.alive]


def sources_change_and_somebody_calls(world, process, content):
    world.sources = content
    world.call()


def sources_change_and_hup(world, process, content):
    world.sources = content
    world.trigger("signal")


def sources_change_unheard(world, process, content):
    world.sources = content


def sources_are_bad(world, process, content):
    world.sources = None
    world.trigger("watch")


def hup(world, process, content):
    world.trigger("signal")


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


def worker_stops_or_resumes(world, process, content):
    if process:
        process.stopped = not process.stopped


def worker_begins_or_ceases_to_refuse(world, process, content):
    if process:
        process.refuses ^= {content}


def pipe_breaks(world, process, content):
    if process:
        world.break_pipe(process, lose_frames=False)


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


def loads_hang_or_go_on(world, process, content):
    world.hangs = not world.hangs


def owner_is_killed(world, process, content):
    world.kill_owner()


def owner_is_started(world, process, content):
    world.start_owner()


def deadline_comes(world, process, content):
    world.next_deadline()


DISTURBANCES: tuple[Disturb, ...] = (
    deadline_comes,
    sources_change_and_somebody_calls,
    sources_change_and_hup,
    sources_change_unheard,
    sources_are_bad,
    hup,
    worker_calls,
    worker_starts,
    worker_forks,
    worker_dies,
    worker_leaves,
    worker_stops_or_resumes,
    worker_begins_or_ceases_to_refuse,
    pipe_breaks,
    pipe_breaks_and_loses_frames,
    next_write_fails,
    next_write_fails_and_is_there,
    journal_is_unreadable,
    journal_is_unreadable_and_written,
    journal_is_deleted,
    loads_hang_or_go_on,
    owner_is_killed,
    owner_is_started,
)
