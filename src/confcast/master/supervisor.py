"""The supervisor: a thread that restarts a dead owner, for masters that neither fork nor have a loop to hook.

The thread waits on the owner's pidfd, and polls nothing. Rejected: a thread in every master (threads in a forking
master deadlock its children on logging and import locks; such a server calls `ensure_owner()` in its loop).
"""

from __future__ import annotations

import os
import select
import threading

from confcast.errors import ConfcastError
from confcast.master.start.launch import Launcher
from confcast.wire.processes import Death
from confcast.wire.signal_mask import signals_blocked


class Supervisor:
    """A thread that restarts a dead owner, for masters that neither fork nor have a loop to hook.

    Args:
        launcher: Starts and restarts the owner.

    Raises:
        ConfcastError: No thread can be started.
        OSError: No descriptor is left.
    """

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._wakeup_r, self._wakeup_w = os.pipe()
        self._starter = threading.get_native_id()
        self._thread = threading.Thread(target=self._run, name="confcast-supervisor", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            self._close_pipe()
            raise ConfcastError(f"the thread that restarts a dead config owner can't be started: {error}") from error

    def close(self) -> None:
        """End the thread. May be called once only."""
        os.write(self._wakeup_w, b"\0")
        self._thread.join()
        self._close_pipe()

    def _close_pipe(self) -> None:
        os.close(self._wakeup_r)
        os.close(self._wakeup_w)

    def _run(self) -> None:
        while True:
            death = self._launcher.death()
            if death is None or self._stopped(death, None):
                return
            self._launcher.ensure()
            while self._launcher.death() is death:
                if self._stopped(None, self._launcher.next_look()):
                    return
                self._launcher.ensure()

    def _stopped(self, death: Death | None, timeout: float | None) -> bool:
        """Wait for the owner's death, the end of the pause, or `close()`. Returns whether `close()` was called."""
        poller = select.poll()
        poller.register(self._wakeup_r, select.POLLIN)
        if death is not None:
            poller.register(death.fileno(), select.POLLIN)
        with signals_blocked(self._starter):
            ready = poller.poll(None if timeout is None else int(timeout * 1000) + 1)
        return any(fd == self._wakeup_r for fd, _ in ready)
