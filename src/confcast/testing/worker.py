"""`TestWorker`: one worker process, as a test sees it.

Guaranteed: nothing waits without a deadline, an error says which worker it is about and what it was doing, and after
`close()` the process is gone. What a worker prints goes where this process prints to: pytest captures it and shows it
with a failure.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from typing import Any

from confcast.errors import ConfcastError
from confcast.master.start.interpreter import search_path
from confcast.master.start.interpreter_flags import flags
from confcast.testing.channel import Answer, Begin, Call, Channel, End, Message, See
from confcast.testing.serving import BOOTSTRAP

ENDS_WITHIN = 5.0
"""Seconds for which workers may close and exit before they are killed."""


class WorkerFailed(ConfcastError):
    """A worker of a test could not start, raised, died or hung: the text says which worker, at what, and why.

    Attributes:
        worker: Which one: its number and pid, as text.
        what: What happened.
    """

    def __init__(self, worker: object, what: str) -> None:
        super().__init__(f"{worker}{what}")
        self.worker = str(worker)
        self.what = what


class TestWorker:
    """One worker process of an `Application`, which starts and ends it.

    Attributes:
        number: Its place among the workers, from 1.
        pid: Its process id.
        killed: Whether the test has killed it: the application asks it nothing any more.
    """

    __test__ = False  # pytest takes a class of this name for a test

    def __init__(self, number: int, begin: Begin) -> None:
        self.number = number
        ours, its = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        arguments = [json.dumps(search_path()), str(its.fileno()), str(lifeline)]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this interpreter, and code of ours
                [sys.executable, *flags(), "-c", BOOTSTRAP, *arguments],
                stdin=subprocess.DEVNULL,
                pass_fds=(its.fileno(), lifeline),
                process_group=0,  # Ctrl-C is for the test, which ends its workers
            )
        except BaseException:
            ours.close()
            os.close(self._lifeline)
            raise
        finally:
            its.close()
            os.close(lifeline)
        self.pid = self._process.pid
        self._channel = Channel(ours)
        self._timeout = begin.timeout
        self._doing = "starting"
        self._hangs: WorkerFailed | None = None
        self.killed = False
        self._tell(begin)

    def started(self, seconds: float) -> None:
        """Return once it has attached, imported the application, and built what is derived. Raises WorkerFailed."""
        self._answer(seconds, "can't start")

    def call(self, function: str, arguments: list[Any], keywords: dict[str, Any]) -> None:
        """Have it call a function; `returned` waits for the result. Raises WorkerFailed."""
        self._doing = f"running {function}"
        self._tell(Call(function, arguments, keywords))

    def returned(self, seconds: float) -> Any:
        """What the function returned. Raises WorkerFailed."""
        return self._answer(seconds, f"{self._doing.removeprefix('running ')} failed")

    def look(self) -> None:
        """Have it say what it sees; `seen` waits for that. Raises WorkerFailed."""
        self._doing = "reading its configuration"
        self._tell(See())

    def seen(self, seconds: float) -> tuple[int, bytes]:
        """The version and the encoded configuration that it sees. Raises WorkerFailed."""
        version, payload = self._answer(seconds, "can't read its configuration")
        return version, payload

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal, and return when it is gone. Raises WorkerFailed: it was not in five seconds."""
        self.killed = True
        self._process.send_signal(number)
        try:
            self._process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            raise WorkerFailed(self, f" still runs {ENDS_WITHIN:g} s after signal {number}") from None

    def end(self) -> None:
        """Ask it to end; one that hangs is killed. `close` waits for that."""
        if self._hangs is not None:
            self._process.kill()
        elif self.is_alive():
            try:
                self._channel.send(End(), ENDS_WITHIN)
            except OSError:  # it has died just now
                return

    def close(self, deadline: float) -> None:
        """Return when it is gone: a worker that has not ended at this time (monotonic) is killed."""
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._process.wait()
        self._channel.close()
        os.close(self._lifeline)

    def _tell(self, message: Message) -> None:
        if self._hangs is not None:  # its next answer would be to an earlier question
            raise self._hangs
        try:
            self._channel.send(message, self._timeout)
        except TimeoutError:
            raise self._is_hanging() from None
        except TypeError as error:
            raise TypeError(f"what a worker's function is called with has to be plain data: {error}") from None
        except OSError:
            raise self._is_gone() from None

    def _answer(self, seconds: float, what: str) -> Any:
        try:
            answer: Answer = self._channel.receive(Answer, seconds)
        except TimeoutError:
            raise self._is_hanging() from None
        except (EOFError, OSError):
            raise self._is_gone() from None
        if answer.error:
            raise WorkerFailed(self, f": {what}: {answer.error}\n{answer.trace}".rstrip())
        return answer.value

    def _is_hanging(self) -> WorkerFailed:
        os.write(self._lifeline, b"?")  # it prints the stacks of its threads
        self._hangs = WorkerFailed(
            self,
            f" has not answered in time: it is still {self._doing}. Its standard error has the stacks of its threads; "
            "timeout= of the Application gives it longer",
        )
        return self._hangs

    def _is_gone(self) -> WorkerFailed:
        try:
            status = self._process.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            return WorkerFailed(self, " has closed its channel, and runs on: does the application close descriptors?")
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        return WorkerFailed(self, f" {how} while it was {self._doing}; what it printed is in the captured output")

    def __str__(self) -> str:
        return f"worker {self.number} (pid {self.pid})"
