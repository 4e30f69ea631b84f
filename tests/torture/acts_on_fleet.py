"""What the nemesis does by a fleet's engine: it publishes. Engine and gateway are killed and stopped as others are."""

from __future__ import annotations

import os

from confcast.fleet.engines.engine import EngineError
from tests.torture.fleet import Fleet
from tests.torture.history import Act, Recorder, now


class ActsOnFleet:
    """The acts, as methods with the plan's names.

    Args:
        fleet: None if the site follows none; no plan has these acts then.
        recorder: Where the acts are recorded.
    """

    def __init__(self, fleet: Fleet | None, recorder: Recorder) -> None:
        self._fleet, self._recorder = fleet, recorder

    def publish(self, *, number: int) -> None:
        """Have the host load this number. Returns at once: the engine may stand still."""
        assert self._fleet is not None
        fleet, began = self._fleet, now()

        def do() -> None:
            ok = False
            try:
                fleet.publish(number)
                ok = True
            except EngineError:
                pass
            finally:
                arguments = {"number": number}
                act = Act(at=now(), by=os.getpid(), began=began, name="publish", arguments={**arguments}, ok=ok)
                self._recorder.write(act)

        fleet.later(do)

    def mend(self) -> None:
        """Return when all that was begun has ended."""
        if self._fleet is not None:
            self._fleet.later(lambda: None).result()
