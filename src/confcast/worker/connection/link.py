"""A replica's pipe: the thread that reads it, and the calls that go over it.

The thread knocks until it has a pipe (50 ms to 2 s, jittered), says Hello, then only reads, builds, checks, swaps and
answers. It works while the process's main thread is in a long request or its event loop is busy. A process that hears
no owner for a second after `attach()` serves without: on what it holds, or on the snapshot file. Before, it writes a
note and connects once more, so that the next owner knows of it; after, it keeps knocking. Every wait has a deadline,
and every open call is answered when the pipe ends. No fault, ours or the application's, ends the thread before
`close()`: it costs the pipe at the most, and the thread knocks again. An owner that is gone for good has a next one
(`discovery.py`), which counts once it has given a version; a loss is logged once, and its end once.

Rejected: reading between requests (an idle worker would not vote), and a signal (it interrupts system calls of the
application's).
"""

from __future__ import annotations

import itertools
import logging
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from confcast.errors import ConfcastError, ProtocolError
from confcast.wire.files import goodbye_files, snapshot_file
from confcast.wire.framing import Deframer, frame
from confcast.wire.messages import (
    PROTOCOL,
    Answer,
    Applied,
    Declined,
    Goodbye,
    Hello,
    Message,
    Observed,
    Refused,
    Request,
    ToWorker,
    decode_to_worker,
    encode,
)
from confcast.wire.signal_mask import block_signals
from confcast.worker.connection import machine as protocol
from confcast.worker.connection.discovery import Whereabouts
from confcast.worker.connection.machine import (
    Deliver,
    Disconnect,
    Held,
    Machine,
    Renumber,
    Reply,
    ReportObservers,
    Settle,
    Swap,
    Terminate,
    Warn,
)

_log = logging.getLogger("confcast.worker")

FALLBACK_AFTER = 1.0
"""Seconds without an owner's answer after which a process goes on with what it has, or with the snapshot file."""
_SHORTEST_RETRY, _LONGEST_RETRY = 0.05, 2.0
_SEND_TIMEOUT = 5
_NEXT_ONE_S_TIME = 5.0
"""Seconds for the owner that may be the next one to say something. One that is stopped takes connections, too."""
_READ = 65536  # above 128 KiB malloc maps and unmaps the buffer at every read


class LinkedReplica(Protocol):
    """What a link does its work for; called in the reading thread."""

    def swapped(self, old: Held | None, new: Held) -> None:
        """This is the newest from now on."""

    def renumbered(self, new: Held) -> None:
        """The same content has a new number."""

    def caught_up(self) -> None:
        """What is held is what the owner gives."""

    def settled(self, held: Held) -> None:
        """Every live worker that is not named has applied it."""

    def report_observers(self, number: int) -> None:
        """The owner asks how the observers stand; 0: an owner that has not asked yet."""

    def gave_up(self, why: Terminate) -> None:
        """No more versions will come."""

    def not_followed(self, address: str, refused: Refused) -> None:
        """The owner there looked like the next one, and does not serve this process."""


class Link:
    """One replica's connection to its owner.

    Args:
        address: The control socket; or the configuration's name, by which the owner is looked for.
        name: The configuration's name.
        schema: The fingerprint of the codec's table.
        machine: Fed by the reading thread only.
        holder: Told what happens.
        open_saved: Makes a configuration of a snapshot file, or gives None when it is of no use here.
        patience: Seconds that somebody will wait for a first value: the snapshot file is tried before they are over.
    """

    def __init__(
        self,
        address: str,
        name: str,
        schema: bytes,
        machine: Machine,
        holder: LinkedReplica,
        open_saved: Callable[[snapshot_file.Saved], Any],
        patience: float = FALLBACK_AFTER,
    ) -> None:
        self._where = Whereabouts(name, address)
        self._had = False  # an owner, which has given a version; until then the one that was given is the only one
        self._lost = False
        self._tried_address = self._remembered = ""
        self._choice = ""  # between several next ones, as it was said last
        self._hello = (name, schema)
        self._machine = machine
        self._holder = holder
        self._open_saved = open_saved
        self._fall_back_at = time.monotonic() + min(0.8 * patience, FALLBACK_AFTER)
        self._answered = False  # by an owner; or this process serves without
        self._noted = False
        self._pause = _SHORTEST_RETRY
        self._opened: socket.socket | None = None
        self._socket: socket.socket | None = None
        self._sending = threading.RLock()  # reentrant: a finalizer or a signal handler may close or ask
        self._stop = threading.Event()
        self._said_goodbye = False
        self._reported: Observed | None = None
        self._is_on_the_roster = False  # by an answer on the present pipe
        self._greeted = threading.Event()
        self._calls: dict[int, _Call] = {}
        self._numbers = itertools.count(1)
        self._starter = 0
        self._thread = threading.Thread(target=self._run, name=f"confcast-{name}", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether there is a pipe on which Hello was said; to a next owner, one that has given a version."""
        return self._greeted.is_set() and not self._stop.is_set()

    @property
    def address(self) -> str:
        """The control socket of the owner that serves this process, or did last; "" before one was found by name."""
        return self._where.address

    @property
    def trouble(self) -> str:
        """Why there is no owner to knock at, in words; "" where there is one."""
        return self._where.trouble()

    @property
    def _folder(self) -> Path:
        return Path(self.address).parent

    @property
    def _on_trial(self) -> bool:
        """Whether the present pipe, if there is one, is that of a next owner that has not given a version yet."""
        return self._had and self._tried_address != self.address

    def start(self) -> None:
        """Begin to knock. Raises ConfcastError when no thread can be started."""
        self._take_back("left")
        self._take_back("here")
        self._starter = threading.get_native_id()
        try:
            self._thread.start()
        except RuntimeError as error:
            raise ConfcastError(f"the thread that hears the config owner can't be started: {error}") from error

    def close(self) -> None:
        """Say Goodbye, close the pipe, answer open calls with None, and wait for the thread. From any thread."""
        self._stop.set()
        with self._sending:
            connection = self._socket
            if connection is not None:
                self._say_goodbye(connection)
                _shut(connection)
        if threading.current_thread() is not self._thread and self._thread.is_alive():
            self._thread.join(_SEND_TIMEOUT)
        if self._noted:
            self._take_back("here")
        if not self._said_goodbye:
            self._leave_word()

    def say(self, message: Message) -> None:
        """Send this and wait for nothing, if there is a pipe; for the functions that the reading thread runs."""
        self._send(message)

    def report(self, observed: Observed) -> None:
        """Tell the owner how the observers stand; from any thread. What could not be said is said on the next pipe."""
        with self._sending:
            former = self._reported
            if former is None or observed.failures >= former.failures:
                self._reported = observed
            if self._is_on_the_roster:
                self._send(observed)

    def _take_back(self, kind: goodbye_files.Kind) -> None:
        if not self.address:
            return
        try:
            goodbye_files.take_back(self._folder, kind)
        except OSError as error:
            _log.warning("a note for the next config owner can't be taken back: %s", error)

    def _say_goodbye(self, connection: socket.socket) -> None:
        self._said_goodbye = _try_to_send(connection, Goodbye()) or self._said_goodbye

    def _leave_word(self) -> None:
        """No owner has heard it: the next one reads it, and one that began to listen just now hears it after all."""
        try:
            if not self.address or not Path(self.address).is_socket():
                return  # no owner has lived here, or none will
            goodbye_files.write(self._folder, "left")
        except OSError as error:
            _log.warning("the next config owner will wait for this process, which has left: %s", error)
        connection = self._connect(self.address)
        if connection is not None:
            self._say_goodbye(connection)
            connection.close()

    def forget(self) -> None:
        """In a forked child: the pipe is the parent's. Close the descriptor, and say nothing on it."""
        if self._opened is not None:
            self._opened.close()

    def on_reading_thread(self) -> bool:
        """Whether the caller must not wait for an answer, since it is the one who would read it."""
        return threading.current_thread() is self._thread

    def ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        """Send a request and wait for its answer; None when none came in time, or the owner is gone.

        Raises:
            ConfcastError: Called in the reading thread (from a `precommit` function).
        """
        if self.on_reading_thread():
            raise ConfcastError(
                "a precommit function runs in the thread that would read the answer: it can't call the owner"
            )
        deadline = time.monotonic() + timeout
        if not self._greeted.wait(timeout) or self._stop.is_set():
            return None
        call = _Call()
        number = next(self._numbers)
        self._calls[number] = call
        try:
            # The pipe may have ended between the wait and the entry in `_calls`: then the send fails, or the
            # reading thread finds the entry when it answers everyone.
            if not self._send(make(number)):
                return None
            call.done.wait(max(0.0, deadline - time.monotonic()))
            return call.answer
        finally:
            self._calls.pop(number, None)

    # ---- the reading thread

    def _run(self) -> None:
        block_signals(self._starter)
        try:
            while not self._stop.is_set():
                self._attempt()
                self._stop.wait(self._until_fallback(self._pause * random.uniform(0.5, 1.0)))  # noqa: S311
                self._pause = min(self._pause * 2, _LONGEST_RETRY)
        finally:
            self._machine.close()
            self._stop.set()
            self._greeted.set()  # whoever waits for a pipe: none will come

    def _attempt(self) -> None:
        """One pipe, from the knock to its end. Whatever goes wrong, this process must not become deaf by it."""
        try:
            connection = self._connect(self._look())
            if connection is not None:
                self._converse(connection)
            if self._is_to_serve_without():
                self._serve_without(None)
        except Exception:
            _log.exception("the pipe to the config owner is opened anew after a fault in confcast")

    def _look(self) -> str:
        """Where to knock. Before any owner has given a version, whichever is found by its name is the one."""
        self._tried_address = address = self._where.look()
        if not self._had and address != self.address:
            self._where.move(address)
        if self._where.choice not in ("", self._choice):
            self._choice = self._where.choice
            _log.log(self._level(), "%s", self._choice)
        return address

    def _connect(self, address: str) -> socket.socket | None:
        if not address:
            return None
        try:
            connection = self._opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError as error:
            _log.warning("can't knock at the config owner: %s", error)
            return None
        _limit_sending(connection, self._until_fallback(_SEND_TIMEOUT) or _SEND_TIMEOUT)  # connecting, too
        name, schema = self._hello
        held = self._machine.held
        version, digest = (held.version, held.digest) if held is not None else (0, b"")
        try:
            connection.connect(address)
            connection.sendall(frame(encode(Hello(PROTOCOL, os.getpid(), "replica", name, schema, version, digest))))
        except OSError:
            connection.close()
            self._lose()
            return None
        _limit_sending(connection, _SEND_TIMEOUT)
        return connection

    def _converse(self, connection: socket.socket) -> None:
        try:
            self._machine.connected()
            self._holder.report_observers(0)
            with self._sending:
                self._socket = connection
            if not self._on_trial:
                self._greeted.set()
            self._read(connection)
        except ConnectionResetError:
            self._lose()
        except (OSError, ProtocolError) as error:
            if not self._stop.is_set():  # else `close()` has ended it: where threads are green, that is an error here
                _log.warning("the pipe to the config owner broke: %s", error)
        finally:
            self._greeted.clear()
            with self._sending:
                self._socket, self._is_on_the_roster = None, False
                if self._stop.is_set():
                    # close() may have found no pipe to say it on: before this conversation began, or as it ended.
                    self._say_goodbye(connection)
            connection.close()
            if self._machine.state is not protocol.ReplicaState.CLOSED:
                self._machine.ended()
            for call in list(self._calls.values()):
                call.done.set()

    def _read(self, connection: socket.socket) -> None:
        deframer = Deframer()
        on_trial_until = time.monotonic() + _NEXT_ONE_S_TIME
        while not self._stop.is_set():
            limit = self._until_fallback(_NEXT_ONE_S_TIME if self._on_trial else None)
            if limit != connection.gettimeout():  # each setting of it is a system call
                connection.settimeout(limit)
            try:
                messages = _heard(connection, deframer)
            except TimeoutError:
                if self._is_to_serve_without():
                    self._serve_without(connection)
                if self._on_trial and time.monotonic() >= on_trial_until:
                    return
                continue
            if messages is None:
                self._lose()
                return
            for message in messages:
                if not self._obey(message):
                    return

    def _obey(self, message: ToWorker) -> bool:
        """Whether the pipe stays open. After a failed send too all is done that the frame asked for: a GiveUp, say."""
        if isinstance(message, Refused) and message.final and self._on_trial:
            self._where.refuse(self._tried_address)
            self._holder.not_followed(self._tried_address, message)
            return False
        if self._remembered != self._tried_address:
            self._remembered = self._tried_address
            self._where.remember(self._tried_address)
        effects = self._machine.handle(message)
        if self._stop.is_set():  # `close()`, perhaps in a `precommit` function: what is held stays
            return False
        done = [self._perform(effect) for effect in effects]
        return all(done)

    def _perform(self, effect: protocol.Effect) -> bool:
        """Whether the pipe stays open."""
        match effect:
            case Reply(message):
                return self._reply(message)
            case Warn(text):
                _log.warning("%s", text)
            case Swap(old, new):
                self._holder.swapped(old, new)
            case Renumber(new):
                self._holder.renumbered(new)
            case Settle(held):
                self._holder.settled(held)
            case ReportObservers(number):
                self._holder.report_observers(number)
            case Deliver(answer):
                self._deliver(answer)
            case Disconnect(reason):
                _log.info("the pipe to the config owner is opened anew: %s", reason)
                return False
            case Terminate():
                self._stop.set()
                self._said_goodbye = self._said_goodbye or effect.refused is not None  # who is refused is on no roster
                self._holder.gave_up(effect)
                return False
        return True

    def _reply(self, message: Message) -> bool:
        """Whether it has left."""
        self._pause = _SHORTEST_RETRY  # an owner with whom one can speak
        sent = self._send(message)
        if isinstance(message, Applied | Declined):
            self._has_answered()
        if isinstance(message, Applied):
            self._holder.caught_up()
            self._tell_what_was_reported()
        return sent

    def _tell_what_was_reported(self) -> None:
        """To an owner that has just heard of this process."""
        with self._sending:
            if not self._is_on_the_roster:
                self._is_on_the_roster = True
                if self._reported is not None and self._reported.failures:
                    self._send(Observed(0, self._reported.failures, self._reported.last_error))

    def _deliver(self, answer: Answer) -> None:
        call = self._calls.get(answer.id)
        if call is not None:
            call.answer = answer
            call.done.set()

    def _send(self, message: Message) -> bool:
        with self._sending:
            if self._socket is None:
                return False
            if _try_to_send(self._socket, message):
                return True
            _shut(self._socket)  # half a frame may have left: nothing may follow it
            return False

    # ---- serving without an owner

    def _has_answered(self) -> None:
        """An owner has given a version: this process is on its roster, and in its journal."""
        self._answered = True
        if self._noted:
            self._noted = False
            self._take_back("here")
        if not self._had or self._on_trial:
            self._take_up()
        if self._lost:
            self._lost = False
            _log.log(self._level(), "a config owner of %r was found again, at %s", self._hello[0], self.address)

    def _take_up(self) -> None:
        """The owner that has answered is this process's from now on."""
        if self._on_trial:
            self._where.move(self._tried_address)
        self._had = True
        self._greeted.set()

    def _lose(self) -> None:
        """Nobody is at the other end. Said once, and for a process beside the server by itself only."""
        if not self._had or self._lost or self._stop.is_set():
            return
        self._lost = True
        self._choice = ""
        held = self._machine.held
        text = "the config owner of %r at %s is gone: this process goes on with version %d, and looks for the next one"
        _log.log(self._level(), text, self._hello[0], self.address, held.version if held is not None else 0)

    def _level(self) -> int:
        """The master's log tells of its owner's death; of a process beside the server nobody tells."""
        return logging.WARNING if self._where.beside else logging.INFO

    def _until_fallback(self, otherwise: float | None) -> float | None:
        if self._answered:
            return otherwise
        left = max(0.05, self._fall_back_at - time.monotonic())
        return left if otherwise is None else min(left, otherwise)

    def _is_to_serve_without(self) -> bool:
        return not self._answered and time.monotonic() >= self._fall_back_at and not self._stop.is_set()

    def _serve_without(self, connection: socket.socket | None) -> None:
        """No owner has answered. Each step before the next, or the next owner may not know of this process.

        The note; then a Hello that lies at an owner which lives, if there is one (it may be stopped, or busy): on this
        connection, or on a new one; then the snapshot file, which such an owner has written before it closes a barrier.
        """
        self._fall_back_at = time.monotonic() + FALLBACK_AFTER  # of no use now, it is looked at again a second later
        if not self.address:  # no owner of this name was ever found: there is no folder
            self._go_on_or_start()
            return
        try:
            goodbye_files.write(self._folder, "here")
            self._noted = True
        except OSError as error:
            _log.warning("the next config owner may not know of this process, which serves without one: %s", error)
        if connection is None:
            fresh = self._connect(self._look())
        elif _is_open(connection):
            fresh = None
        else:
            return  # it has brought an answer, or its end: which is read next
        self._go_on_or_start()
        if fresh is not None:
            self._converse(fresh)

    def _go_on_or_start(self) -> None:
        """On what this process holds, or on what was committed last, if that can be read and is of this schema."""
        if self._stop.is_set():  # `close()`, meanwhile: what is held stays
            return
        if (held := self._machine.held) is not None:
            _log.warning("no config owner answers: going on with version %d", held.version)
            self._answered = self._lost = True
            self._holder.caught_up()
            return
        saved = snapshot_file.load(self._folder) if self.address else None
        config = self._open_saved(saved) if saved is not None else None
        if saved is None or config is None:
            return
        held = self._machine.adopt(Held(saved.version, saved.digest, config))
        _log.warning("no config owner answers: starting on version %d, which was committed last", held.version)
        self._answered = self._lost = True
        self._holder.swapped(None, held)


class _Call:
    """One request that waits."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.answer: Answer | None = None


def _heard(connection: socket.socket, deframer: Deframer) -> Iterator[ToWorker] | None:
    """What has come, each decoded when it is its turn; None at the end.

    No variable keeps its bytes: error trackers may send those of the frame that reads, while a function of the
    application's runs.
    """
    data = connection.recv(_READ)
    return map(decode_to_worker, deframer.feed(data)) if data else None


def _limit_sending(connection: socket.socket, seconds: float) -> None:
    whole = int(seconds)
    limit = struct.pack("ll", whole, int((seconds - whole) * 1e6))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def _is_open(connection: socket.socket) -> bool:
    """Whether the other end lives, and has said nothing."""
    connection.settimeout(0)  # and no MSG_DONTWAIT, for which a green socket would wait all the same
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _try_to_send(connection: socket.socket, message: Message) -> bool:
    """Whether it left whole. Past the socket's own send timeout the owner counts as gone."""
    try:
        connection.sendall(frame(encode(message)))
    except OSError:
        return False
    return True


def _shut(connection: socket.socket) -> None:
    """Wake the thread that reads it; closing alone would not."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        _log.debug("the pipe had ended already: %s", error)
