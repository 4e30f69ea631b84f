"""Worker processes that carry out a test's commands, sent over a pipe: read, pin, reload, refuse, observe.

The worker's main thread does one command after the other, as a synchronous worker does requests. It ends with its
pipe, or with the process that started it.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from confcast import ConfigError, Problem, Replica, declared
from confcast.wire.messages import Message, Vote
from confcast.worker.connection import link
from tests.support import settings as schema_module
from tests.support.settings import Settings
from tests.support.stopping import stop
from tests.support.waiting import DEADLINE, eventually


class Raised(Exception):
    """What a command raised in the worker: the name of its class, and its text."""

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        super().__init__(f"{kind}: {text}")


class Worker:
    """A worker, as the test sees it.

    Args:
        context: How it is started.
        address: Where it attaches before it takes commands; "" leaves that to the environment, None to a command.
        target: Its main program, where it takes other commands; called with the pipe and these arguments.
        arguments: Of the target.
    """

    def __init__(
        self,
        context: BaseContext,
        address: str | None = None,
        *,
        target: Callable[..., None] | None = None,
        arguments: tuple[Any, ...] = (),
    ) -> None:
        self._pipe, its = multiprocessing.Pipe()
        arguments = (its, *arguments) if target is not None else (its, address)
        self._process = context.Process(target=target or serve, args=arguments, daemon=True)  # type: ignore[attr-defined]
        self._process.start()
        its.close()
        self.pid: int = self.answer()

    def ask(self, command: str, *arguments: Any) -> Any:
        """Have it do a command, and wait for what it returns. Raises Raised."""
        self.tell(command, *arguments)
        return self.answer()

    def tell(self, command: str, *arguments: Any) -> None:
        """Have it do a command; `answer` waits for the result."""
        self._pipe.send((command, arguments))

    def answer(self) -> Any:
        """What the oldest command that was not answered yet returned. Raises Raised."""
        assert self._pipe.poll(DEADLINE), "the worker does not answer"
        kind, value = self._pipe.recv()
        if kind:
            raise Raised(kind, value)
        return value

    def signal(self, number: int) -> None:
        """Send it a signal. After SIGSTOP it has stopped."""
        if number == signal.SIGSTOP:
            stop(self.pid)
        else:
            os.kill(self.pid, number)

    def end(self) -> None:
        """However it is: afterwards it is gone."""
        if self._process.is_alive():
            with contextlib.suppress(ProcessLookupError):  # it has died, and its fork server has not told so yet
                os.kill(self.pid, signal.SIGCONT)
        with contextlib.suppress(OSError):
            self._pipe.send(None)  # the end of the pipe is not noticed while a forked sibling has it open
        self._pipe.close()
        self._process.join(5.0)
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._process.close()

    def kill(self) -> None:
        """With -9; returns when it is gone."""
        self._process.kill()
        self._process.join(DEADLINE)


def serve(pipe: Connection, address: str | None) -> None:
    """The worker's main program."""

    def begin() -> Serving:
        serving = Serving()
        if address is not None:
            serving.attach(address)
        return serving

    obey(pipe, begin)


def obey(pipe: Connection, begin: Callable[[], Any]) -> None:
    """Do what comes over the pipe: each command is a method of what `begin` gives."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    try:
        serving = begin()
        pipe.send(("", os.getpid()))
        while pipe in wait([pipe, parent.sentinel]):
            told = pipe.recv()
            if told is None:
                return
            command, arguments = told
            pipe.send(_done(getattr(serving, command), arguments))
    except (EOFError, OSError):
        return
    except BaseException as error:
        pipe.send((type(error).__name__, str(error)))
        raise


def _done(command: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[str, Any]:
    try:
        return "", command(*arguments)
    except Exception as error:
        return type(error).__name__, str(error)


class Serving:
    """The commands; each is a method."""

    def __init__(self) -> None:
        known = [replica for replica in declared() if replica.name == "app"]
        self._replica: Replica[Settings] = known[0] if known else Replica(Settings, name="app")
        self._replica.precommit(self._judge)
        self._objection = self._objected = ""
        self._gate = ""
        self._blow = ("", 0)
        self._observed: list[tuple[int | None, int]] = []
        self._warned: list[str] = []
        self._pins: list[Any] = []
        self._readers: list[_Reader] = []

    def attach(self, address: str = "", timeout: float = 10.0) -> int:
        return self._replica.attach(address or None, timeout).version

    def close(self) -> None:
        self._replica.close()

    def read(self) -> tuple[int, int]:
        """The version, and the number that stands in it."""
        snapshot = self._replica.snapshot
        return snapshot.version, snapshot.config.number

    def leave(self, status: int) -> None:
        """Leave at once, in the middle of this request."""
        os._exit(status)

    def connected(self) -> bool:
        return self._replica.connected

    def await_number(self, number: int) -> int:
        """The version that has it."""
        eventually(lambda: self._replica.latest.number == number, f"number {number} in the worker {os.getpid()}")
        return self._replica.version

    def await_connected(self, wanted: bool) -> None:
        eventually(lambda: self._replica.connected is wanted, f"connected: {wanted} in the worker {os.getpid()}")

    def validated(self) -> int:
        return schema_module.validated

    def pin(self) -> None:
        pin = self._replica.pin()
        pin.__enter__()
        self._pins.append(pin)

    def pinned(self, entity: str | int | None = None) -> tuple[int, int]:
        """The version that a pin gives, and the number that stands in it."""
        with self._replica.pin(entity=entity) as config:
            return self._replica.version, config.number

    def pinned_numbers(self, entities: list[str]) -> list[int]:
        """The number that a pin for each of these gives."""
        return [self.pinned(each)[1] for each in entities]

    def await_pinned(self, number: int, entity: str | None = None) -> int:
        """The version that a pin gives, once it has this number."""
        eventually(lambda: self.pinned(entity)[1] == number, f"number {number} in a pin of the worker {os.getpid()}")
        return self.pinned(entity)[0]

    def serve_requests(self, count: int) -> None:
        """So many requests that are pinned, and end."""
        for _ in range(count):
            self.pinned()

    def serve_failing_requests(self, count: int, each: int) -> None:
        """So many requests, of which each so many-th fails; 0: none."""
        for number in range(count):
            pin = self._replica.pin()
            with pin:
                pin.failed = each > 0 and number % each == 0

    def check_health(self, number: int, hangs: bool) -> None:
        """A version with this number is not healthy from now on; or its check does not end. Any other one is."""

        def works() -> None:
            if self._replica.current.number == number:
                if hangs:
                    self._replica._health.deadline = 0.5
                    threading.Event().wait(DEADLINE)
                raise ValueError(f"number {number} does not work here")

        self._replica.healthcheck(works)

    def die_of(self, number: int, checks: int) -> None:
        """Leave at once, in the check of its health that is the so many-th of a version with this number: one a second,
        the first as soon as it runs."""
        seen: list[int] = []

        def kills() -> None:
            seen.extend([number] * (self._replica.current.number == number))
            if len(seen) == checks:
                os._exit(1)

        self._replica.healthcheck(kills)

    def say_unhealthy(self, reason: str) -> None:
        self._replica.unhealthy(reason)

    def unpin(self) -> None:
        self._pins.pop().__exit__(None, None, None)

    def current_and_latest(self) -> tuple[int, int]:
        return self._replica.current.number, self._replica.latest.number

    def reload(self, timeout: float = 30.0) -> Any:
        return self._replica.reload(timeout)

    def verb(self, name: str) -> Any:
        return getattr(self._replica, name)()

    def object_to(self, objection: str) -> None:
        """Refuse every candidate, in these words; the empty text ends that."""
        self._objection = objection

    def object_to_key(self, key: str, objection: str) -> None:
        """The same, naming a key."""
        self._objected, self._objection = key, objection

    def vote_at(self, gate: str) -> None:
        """Read this file before each vote: while it is a FIFO, the vote takes as long as the test wants."""
        self._gate = gate

    def strike(self, place: str, number: int) -> None:
        """Send this process a signal at its next vote: `before` the vote leaves, or `after`."""
        self._blow = (place, number)
        send = link.try_to_send

        def send_and_strike(connection: socket.socket, message: Message) -> bool:
            sent = send(connection, message)
            if isinstance(message, Vote):
                self._strike_at("after")
            return sent

        link.try_to_send = send_and_strike

    def reload_in_precommit(self) -> None:
        self._replica.precommit(lambda old, new: self._replica.reload())

    def observe(self) -> None:
        self._replica.subscribe(lambda old, new: self._observed.append((old and old.number, new.number)))

    def observed(self, count: int) -> list[tuple[int | None, int]]:
        """What the observer was called with, once it was called so often."""
        eventually(lambda: len(self._observed) >= count, f"{count} calls of the observer in the worker {os.getpid()}")
        return self._observed

    def begin_reading(self, threads: int = 1) -> None:
        """In threads that read as fast as they can until `end_reading`."""
        self._readers = [_Reader(self._replica) for _ in range(threads)]

    def end_reading(self) -> list[str]:
        """What readers saw that nobody may see; each has read a thousand times at the least."""
        return [fault for reader in self._readers for fault in reader.end()]

    def sighup_handler(self) -> str:
        return repr(signal.getsignal(signal.SIGHUP))

    def debug(self, wanted: str) -> None:
        """Attach under this value of CONFCAST_DEBUG from now on, and keep what is said of changes in place."""
        os.environ["CONFCAST_DEBUG"] = wanted
        handler = logging.Handler()
        handler.emit = lambda record: self._warned.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("confcast.worker.debug").addHandler(handler)

    def write_in_place(self, high: int) -> None:
        self._replica.latest.limits.high = high

    def pinned_high(self) -> int:
        return self._replica.current.limits.high

    def warned(self) -> list[str]:
        return self._warned

    def begin_shell(self) -> tuple[int, int]:
        """Run a shell that runs another one, as an application may. The pids of both; they live until `end_shell`."""
        inner = "sh -c 'echo $$; read line'; true"
        self._shell = subprocess.Popen(["/bin/sh", "-c", inner], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._shell.stdout is not None
        return self._shell.pid, int(self._shell.stdout.readline())

    def end_shell(self) -> None:
        self._shell.communicate()

    def _strike_at(self, place: str) -> None:
        if self._blow[0] == place:
            number, self._blow = self._blow[1], ("", 0)
            # To this thread, and not to the process: nothing more is done before the signal takes effect.
            signal.pthread_kill(threading.get_ident(), number)

    def _judge(self, old: Settings, new: Settings) -> None:
        self._strike_at("before")
        if self._gate:
            Path(self._gate).read_bytes()
        if self._objection and self._objected:
            raise ConfigError([Problem(self._objected, self._objection)])
        if self._objection:
            raise ValueError(self._objection)


class _Reader:
    """A thread that reads in a loop, and looks for half a change and for a step back."""

    def __init__(self, replica: Replica[Settings]) -> None:
        self._replica = replica
        self._faults: list[str] = []
        self._reads = 0
        self._stop = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        last = 0
        while not self._stop or self._reads < 1000:
            with self._replica.pin() as config:
                version = self._replica.version
                again = self._replica.current
            self._reads += 1
            if config.number != config.twin or again is not config:
                self._faults.append(f"torn: {config}")
            if version < last:
                self._faults.append(f"version {version} after {last}")
            last = version

    def end(self) -> list[str]:
        self._stop = True
        self._thread.join()
        return self._faults
