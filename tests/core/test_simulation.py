"""Any order, any death: what holds in every run of owners, workers and callers that Hypothesis can think of."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.core.simulation import World

someone = st.integers(0, 3)


class Chaos(RuleBasedStateMachine):
    """Workers are addressed by their place among the living; a place that is empty is nobody."""

    @initialize(workers=st.integers(0, 3), silent=st.sampled_from(["proceed", "proceed", "refuse"]))
    def begin(self, workers, silent):
        self.world = World(silent)
        self.world.start_owner()
        for _ in range(workers):
            self.world.start_worker()

    def _living(self):
        return [process for process in self.world.processes if process.alive]

    def _with(self, place, act):
        living = self._living()
        if place < len(living):
            act(living[place])

    @rule(picks=st.lists(st.integers(0, 11), min_size=1, max_size=12))
    def things_happen(self, picks):
        for pick in picks:
            moves = self.world.moves()
            if moves:
                moves[pick % len(moves)]()
                self.world.oracle.check()

    @rule(steps=st.integers(5, 60))
    def things_happen_in_order(self, steps):
        for _ in range(steps):
            moves = self.world.moves()
            if moves:
                moves[0]()
                self.world.oracle.check()

    @rule()
    def a_deadline_comes(self):
        self.world.next_deadline()

    @rule(content=st.sampled_from([b"A", b"B", b"C", None]), how=st.sampled_from(["call", "signal", "watch", None]))
    def the_sources_change(self, content, how):
        self.world.sources = content
        if how == "call":
            self.world.call()
        elif how:
            self.world.trigger(how)

    @rule(place=someone)
    def a_worker_calls_reload(self, place):
        self._with(place, self.world.call)

    @precondition(lambda self: len(self._living()) < 4)
    @rule()
    def a_worker_starts(self):
        self.world.start_worker()

    @precondition(lambda self: 0 < len(self._living()) < 4)
    @rule(place=someone)
    def a_worker_forks(self, place):
        self._with(place, self.world.fork)

    @rule(place=someone)
    def a_worker_dies(self, place):
        self._with(place, self.world.kill)

    @rule(place=someone)
    def a_worker_leaves(self, place):
        self._with(place, self.world.leave)

    @rule(place=someone)
    def a_worker_is_stopped_or_resumed(self, place):
        def toggle(process):
            process.stopped = not process.stopped

        self._with(place, toggle)

    @rule(place=someone, content=st.sampled_from([b"A", b"B", b"C"]))
    def a_worker_begins_or_ceases_to_refuse(self, place, content):
        self._with(place, lambda process: process.refuses.symmetric_difference_update({content}))

    @rule(place=someone, lose_frames=st.booleans())
    def a_pipe_breaks(self, place, lose_frames):
        self._with(place, lambda process: self.world.break_pipe(process, lose_frames=lose_frames))

    @rule(how=st.sampled_from(["absent", "present", "unreadable", "unreadable, written"]))
    def the_next_write_fails(self, how):
        self.world.next_write = how

    @rule()
    def the_journal_is_deleted(self):
        self.world.lose_journal()

    @rule()
    def loads_hang_or_go_on(self):
        self.world.hangs = not self.world.hangs

    @rule()
    def the_owner_is_killed(self):
        self.world.kill_owner()

    @rule()
    def an_owner_is_started(self):
        self.world.start_owner()

    @invariant()
    def everything_holds(self):
        if hasattr(self, "world"):
            self.world.oracle.check()

    def teardown(self):
        if hasattr(self, "world"):
            self.world.come_to_rest()
            self.world.oracle.check_rest()


TestChaos = Chaos.TestCase
TestChaos.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
