"""What the load was answered, as the demonstration sees it while it goes on.

Guarantees: answers are kept in the order in which they ended; waiting for some has a deadline. Nothing is dropped.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from confcast.examples.leindex.demo.load import Answer


class Traffic:
    """The load's process and what it reports.

    Args:
        port: Of the server, on the loopback interface.
    """

    def __init__(self, port: int) -> None:
        self._answers: list[Answer] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter, our own arguments
            [sys.executable, "-m", "confcast.examples.leindex.demo.load", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C reaches the demonstration, which ends this one
        )
        self._reader = threading.Thread(target=self._read, name="traffic", daemon=True)
        self._reader.start()

    def all(self) -> list[Answer]:
        """Every attempt so far."""
        with self._news:
            return list(self._answers)

    def since(self, moment: float) -> list[Answer]:
        """The attempts that were sent after a moment of CLOCK_MONOTONIC."""
        return [answer for answer in self.all() if answer.sent > moment]

    def workers_since(self, moment: float) -> set[int]:
        """The workers that answered what was sent after the moment."""
        return {answer.pid for answer in self.since(moment) if not answer.error}

    def wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Until the condition holds, looked at with every answer; False when it did not in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            with self._news:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    return False
                self._news.wait(0.1)
        return True

    def stop(self) -> None:
        """End the load; what is under way is finished and counted."""
        assert self._process.stdin is not None
        if not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                answer = Answer(*json.loads(line))
                with self._news:
                    self._answers.append(answer)
                    self._news.notify_all()
