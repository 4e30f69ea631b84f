"""A replica's pipe: the thread that reads it, and the calls that go over it.

The thread tries to connect until it has a pipe (every 50 ms to 2 s, jittered), sends Hello, then only reads, builds,
checks, swaps and answers. It works while the process's main thread is in a long request or its event loop is busy. If
no owner answers, the process serves without one (`fallback.py`) while the thread goes on trying; if the owner is gone
for good, the process follows the next one (`followed_owner.py`). Every wait has a deadline, and every open call is
answered when the pipe ends. No fault, of confcast or of the application, ends the thread before `close()`: at most it
ends the pipe, and the thread connects again.

Rejected: reading between requests (an idle worker would not vote), and a signal (it interrupts the application's system
calls).
"""

from __future__ import annotations

import itertools
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from confcast.errors import ConfcastError, ProtocolError
from confcast.log_fields import about
from confcast.wire.files import goodbye_files, lasting_address, snapshot_file
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
    encode,
)
from confcast.wire.signal_mask import block_signals
from confcast.worker.connection.fallback import AT_ONCE, Fallback, take_back
from confcast.worker.connection.followed_owner import FollowedOwner
from confcast.worker.connection.machine import (
    Deliver,
    Disconnect,
    Effect,
    Held,
    Keep,
    Machine,
    Renumber,
    ReplicaState,
    Reply,
    ReportObservers,
    Settle,
    Slot,
    Swap,
    Terminate,
    Warn,
)
from confcast.worker.connection.pipe import is_open_and_empty, limit_sending, receive, shut, try_to_send, wait_of
from confcast.worker.derived.declared import is_waited_for_by

if TYPE_CHECKING:
    from confcast.wire.files.inherited_snapshot import Inherited

_log = logging.getLogger("confcast.worker")

_SHORTEST_RETRY, _LONGEST_RETRY = 0.05, 2.0
_SEND_TIMEOUT = 5
_TRIAL_TIMEOUT = 5.0
"""Seconds within which a next owner must send a message. The socket of a stopped owner accepts connections, too."""


class LinkListener(Protocol):
    """What a link reports to; called in the reading thread."""

    def swapped(self, old: Held | None, new: Held) -> None:
        """The link has made `new` the newest configuration."""

    def renumbered(self, new: Held) -> None:
        """The owner has given a new version number to the content that this process holds."""

    def caught_up(self) -> None:
        """This process holds the owner's version, or its own while no owner answers. Called once a pipe at the most."""

    def tried(self, slot: Slot) -> None:
        """A version is on trial beside what this process holds, or no longer."""

    def kept(self, keep: Keep) -> None:
        """For how long what this process holds may be undone, and what is to be kept for that."""

    def settled(self, held: Held) -> None:
        """All live workers that were not excused have applied the version that this process holds."""

    def report_observers(self, number: int) -> None:
        """The owner asks whether the observers have run. `number` 0: the owner is new, and has not asked yet."""

    def terminated(self, why: Terminate) -> None:
        """No more versions will come."""

    def next_owner_refused(self, address: str, refused: Refused) -> None:
        """The owner at this address could be the next one, but does not serve this process."""


class Link:
    """One replica's connection to its owner.

    Args:
        address: The control socket; or the configuration's name, by which the owner is searched.
        name: The configuration's name.
        schema: The fingerprint of the codec's table.
        machine: The state machine; only the reading thread gives it messages.
        listener: Its methods are called for what happens.
        open_saved: Makes a configuration of a snapshot file, or returns None if this process can't use the file.
        patience: Seconds that a caller waits for a first value; the snapshot file is tried before their end.
        inherited: The version that this process has inherited; then it serves at once where no owner answers.
    """

    def __init__(
        self,
        address: str,
        name: str,
        schema: bytes,
        machine: Machine,
        listener: LinkListener,
        open_saved: Callable[[snapshot_file.Saved], Any],
        patience: float,
        inherited: Inherited | None = None,
    ) -> None:
        self._owner = FollowedOwner(name, address)
        self._fallback = Fallback(patience if inherited is None else min(AT_ONCE, patience))
        self._inherited = inherited
        self._hello = (name, schema)
        self._machine = machine
        self._listener = listener
        self._open_saved = open_saved
        self._pause = _SHORTEST_RETRY
        self._opened: socket.socket | None = None
        self._socket: socket.socket | None = None
        self._sending = threading.RLock()  # reentrant: a finalizer or a signal handler may close or ask
        self._stop = threading.Event()
        self._sent_goodbye = False
        self._reported: Observed | None = None
        self._busy_since = 0.0
        self._is_on_the_roster = False  # by an Applied on the present pipe: from then on nothing is awaited or on trial
        self._greeted = threading.Event()
        self._calls: dict[int, _Call] = {}
        self._numbers = itertools.count(1)
        self._starter = 0
        self._thread = threading.Thread(target=self._run, name=f"confcast-{name}", daemon=True)

    @property
    def connected(self) -> bool:
        """Whether there is a pipe on which Hello was sent, and, of a next owner, a version has come."""
        return self._greeted.is_set() and not self._stop.is_set()

    @property
    def address(self) -> str:
        """The control socket of the owner that serves this process, or did last; "" before one was found by name."""
        return self._owner.address

    @property
    def busy(self) -> float:
        """For how many seconds the reading thread has been at one message: a vote may run functions of the user's."""
        since = self._busy_since
        return time.monotonic() - since if since else 0.0

    @property
    def trouble(self) -> str:
        """Why there is no owner to connect to, in words; "" if there is one."""
        return self._owner.trouble

    @property
    def _folder(self) -> Path:
        return lasting_address.folder_of(self.address)

    def _noted_in(self) -> Path | None:
        """The folder for notes; None before one was made: at a lasting address no owner may have run yet."""
        if not self.address:
            return None
        folder = self._folder
        made = goodbye_files.has_folder(folder) or (folder / snapshot_file.FILE).exists()
        return folder if made or not lasting_address.is_lasting(self.address) else None

    def start(self) -> None:
        """Begin to connect. Raises ConfcastError when no thread can be started."""
        if self.address:
            take_back(self._folder, "left")
            take_back(self._folder, "here")
        self._starter = threading.get_native_id()
        try:
            self._thread.start()
        except RuntimeError as error:
            raise ConfcastError(f"the thread that reads from the config owner can't be started: {error}") from error

    def close(self) -> None:
        """Send Goodbye, close the pipe, answer open calls with None, and wait for the thread. From any thread."""
        self._stop.set()
        with self._sending:
            connection = self._socket
            if connection is not None:
                self._send_goodbye(connection)
                shut(connection)
        if threading.current_thread() is not self._thread and self._thread.is_alive():
            self._thread.join(_SEND_TIMEOUT)
        self._fallback.take_note_back(self._folder)
        if not self._sent_goodbye:
            self._write_goodbye()

    def send(self, message: Message) -> bool:
        """Send a message, and wait for no answer; from any thread. Returns whether a pipe has taken it."""
        with self._sending:
            if self._socket is None:
                return False
            if try_to_send(self._socket, message):
                return True
            shut(self._socket)  # half a frame may have left: nothing may follow it
            return False

    def report(self, observed: Observed) -> None:
        """Report to the owner which observers have failed or still run, now or over the next pipe. From any thread."""
        with self._sending:
            former = self._reported
            if former is None or observed.failures >= former.failures:
                self._reported = observed
            if self._is_on_the_roster:
                self.send(observed)

    def _send_goodbye(self, connection: socket.socket) -> None:
        self._sent_goodbye = try_to_send(connection, Goodbye()) or self._sent_goodbye

    def _write_goodbye(self) -> None:
        """Write a Goodbye that no owner has received for the next owner, and send it to one that listens by now."""
        try:
            folder = self._noted_in()
            if folder is None or not Path(self.address).is_socket():
                return  # no owner has run there, or none ever will
            goodbye_files.write(folder, "left")
        except OSError as error:
            _log.warning(
                "the next config owner will wait for this process, which has left: %s",
                error,
                extra=about("note_not_written", error=error),
            )
        connection = self._connect(self.address)
        if connection is not None:
            self._send_goodbye(connection)
            connection.close()

    def after_fork(self) -> None:
        """Close the descriptor in a forked child, and send nothing on the pipe, which belongs to the parent."""
        if self._opened is not None:
            self._opened.close()

    def ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        """Send a request and wait for its answer. Returns None if none came in time, or the owner is gone.

        Raises:
            ConfcastError: Called in the reading thread (from a `precommit` function), or by a build that it awaits on
                an event loop.
        """
        reader = self._thread
        if threading.current_thread() is reader or is_waited_for_by(reader):
            raise ConfcastError(
                "a precommit function runs in the thread that would read the answer, and a build of what is derived "
                "runs there, or is waited for there: it can't call the owner"
            )
        deadline = time.monotonic() + timeout
        if not self._greeted.wait(timeout) or self._stop.is_set():
            return None
        call = _Call()
        number = next(self._numbers)
        self._calls[number] = call
        try:
            # The pipe may have ended between the wait and the entry in `_calls`: then the send fails, or the
            # reading thread finds the entry when it answers them all.
            if not self.send(make(number)):
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
                self._stop.wait(self._fallback.limit(self._pause * random.uniform(0.5, 1.0)))  # noqa: S311
                self._pause = min(self._pause * 2, _LONGEST_RETRY)
        finally:
            self._machine.close()
            self._stop.set()
            self._greeted.set()  # wakes callers that wait for a pipe, since none will come

    def _attempt(self) -> None:
        """Connect, and read the pipe to its end. Whatever fails, the thread goes on."""
        try:
            connection = self._connect(self._owner.find())
            if connection is not None:
                self._converse(connection)
            self._serve_without_if_due(None)
        except Exception:
            _log.exception(
                "the pipe to the config owner is opened anew after a fault in confcast",
                extra=about("pipe_fault", name=self._hello[0]),
            )

    def _connect(self, address: str) -> socket.socket | None:
        if not address:
            return None
        try:
            connection = self._opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError as error:
            _log.warning(
                "can't connect to the config owner: %s",
                error,
                extra=about("owner_not_reached", name=self._hello[0], error=error),
            )
            return None
        limit_sending(connection, self._fallback.limit(_SEND_TIMEOUT) or _SEND_TIMEOUT)
        name, schema = self._hello
        held = self._machine.held
        version, digest = (held.version, held.digest) if held is not None else (0, b"")
        try:
            connection.connect(address)
            machine = self._machine
            of = (version, digest, machine.patches, machine.trial, True, machine.trial_digest)
            connection.sendall(frame(encode(Hello(PROTOCOL, os.getpid(), "replica", name, schema, *of))))
        except OSError:
            connection.close()
            self._lose()
            return None
        limit_sending(connection, _SEND_TIMEOUT)
        return connection

    def _converse(self, connection: socket.socket) -> None:
        try:
            self._machine.connected()
            self._listener.report_observers(0)
            with self._sending:
                self._socket = connection
            if not self._owner.on_trial:
                self._greeted.set()
            self._read(connection)
        except ConnectionResetError:
            self._lose()
        except (OSError, ProtocolError) as error:
            if not self._stop.is_set():  # else `close()` has ended the pipe, which raises here if threads are green
                _log.warning(
                    "the pipe to the config owner broke: %s",
                    error,
                    extra=about("pipe_broke", name=self._hello[0], error=error),
                )
        finally:
            self._greeted.clear()
            with self._sending:
                self._socket, self._is_on_the_roster = None, False
                if self._stop.is_set():
                    # close() may have found no pipe to send Goodbye on: it came before this connection, or at its end.
                    self._send_goodbye(connection)
            connection.close()
            if self._machine.state is not ReplicaState.CLOSED:
                self._machine.ended()
            for call in list(self._calls.values()):
                call.done.set()

    def _read(self, connection: socket.socket) -> None:
        """Read until the pipe ends, `close()` is called, or a trial is over."""
        deframer = Deframer()
        trial_ends = time.monotonic() + _TRIAL_TIMEOUT
        wait = wait_of(connection)
        while not self._stop.is_set():
            if not self._is_on_the_roster or connection.gettimeout() is not None:
                self._limit_waiting(connection)
            else:
                wait()
            try:
                messages = receive(connection, deframer)
            except TimeoutError:
                self._serve_without_if_due(connection)
                if self._owner.on_trial and time.monotonic() >= trial_ends:
                    return
                continue
            if messages is None:
                self._lose()
                return
            for message in messages:
                if not self._handle(message):
                    return

    def _limit_waiting(self, connection: socket.socket) -> None:
        """Have the next wait end with the trial, or when the fallback is due; once both are over, with the pipe."""
        limit = self._fallback.limit(_TRIAL_TIMEOUT if self._owner.on_trial else None)
        if limit != connection.gettimeout():  # each setting of it is a system call
            connection.settimeout(limit)

    def _handle(self, message: ToWorker) -> bool:
        """Handle a message, and carry out all effects, even if a send fails. Returns whether the pipe stays open."""
        if not self._is_on_the_roster and self._has_refused(message):
            return False
        self._busy_since = time.monotonic()
        try:
            effects = self._machine.handle(message)
        finally:
            self._busy_since = 0.0
        if self._stop.is_set():  # `close()` was called, perhaps in a `precommit` function: the held version stays
            return False
        stays = True
        for effect in effects:
            if isinstance(effect, Reply):
                self._pause = _SHORTEST_RETRY  # the owner works: if it is lost, the next attempt comes at once
                stays = self.send(effect.message) and stays
                if not self._is_on_the_roster:
                    self._take_up(effect.message)
            elif isinstance(effect, Swap):
                self._listener.swapped(effect.old, effect.new)
            else:
                stays = self._perform(effect) and stays
        return stays

    def _has_refused(self, message: ToWorker) -> bool:
        """Return whether a next owner refuses to serve this process. From another owner, note of which server it is."""
        if isinstance(message, Refused) and message.final and (self._owner.on_trial or self._owner.has_another):
            self._owner.refused()
            self._listener.next_owner_refused(self._owner.tried, message)
            return True
        self._owner.received()
        return False

    def _perform(self, effect: Effect) -> bool:
        """Carry out an effect other than Reply and Swap. Returns whether the pipe stays open."""
        match effect:
            case Warn(text):
                _log.warning("%s", text, extra=about("starts_on_refused_version", name=self._hello[0], warning=text))
            case Renumber(new):
                self._listener.renumbered(new)
            case Slot():
                self._listener.tried(effect)
            case Keep():
                self._listener.kept(effect)
            case Settle(held):
                self._listener.settled(held)
            case ReportObservers(number):
                self._listener.report_observers(number)
            case Deliver(answer):
                self._deliver(answer)
            case Disconnect(reason):
                _log.info(
                    "the pipe to the config owner is opened anew: %s",
                    reason,
                    extra=about("pipe_opened_anew", name=self._hello[0], reason=reason),
                )
                return False
            case Terminate():
                self._stop.set()
                self._sent_goodbye = self._sent_goodbye or effect.refused is not None  # if refused, it is on no roster
                self._listener.terminated(effect)
                return False
        return True

    def _take_up(self, answer: Message) -> None:
        """After each answer until an Applied: once the owner has given a version, this process follows it."""
        if not isinstance(answer, Applied | Declined):
            return
        on_trial = self._owner.on_trial
        self._fallback.finish()
        self._fallback.take_note_back(self._folder)
        self._owner.served()
        if on_trial:
            self._greeted.set()
        if isinstance(answer, Applied):
            self._listener.caught_up()
            self._report_again()

    def _report_again(self) -> None:
        """Report the observers' failures to an owner that has just put this process on its roster."""
        with self._sending:
            self._is_on_the_roster = True
            if self._reported is not None and self._reported.failures:
                self.send(Observed(0, self._reported.failures, self._reported.last_error))

    def _deliver(self, answer: Answer) -> None:
        if (call := self._calls.get(answer.id)) is not None:
            call.answer = answer
            call.done.set()

    def _lose(self) -> None:
        if not self._stop.is_set():
            held = self._machine.held
            self._owner.lost(held.version if held is not None else 0)

    # ---- serving without an owner

    def _serve_without_if_due(self, connection: socket.socket | None) -> None:
        """If no owner has answered: write the note, leave a Hello at an owner, and serve without one; in this order.

        In another order the next owner might not know this process. The owner at which the Hello waits may live
        (stopped or busy), on this connection or a new one, and writes the snapshot file before it closes a barrier.
        """
        if not self._fallback.is_due or self._stop.is_set():
            return
        self._fallback.begin(self._noted_in())
        if connection is None:
            fresh = self._connect(self._owner.find()) if self.address else None
        elif is_open_and_empty(connection):
            fresh = None
        else:
            return  # the connection has brought an answer, or its end, which is read next
        self._go_on_or_start()
        if fresh is not None:
            self._converse(fresh)

    def _go_on_or_start(self) -> None:
        """Serve what this process holds, or else the newest version that is saved, can be read and has this schema."""
        if self._stop.is_set():  # `close()` was called meanwhile: the held version stays
            return
        if (held := self._machine.held) is not None:
            _log.warning(
                "no config owner answers: going on with version %d",
                held.version,
                extra=about("no_owner", name=self._hello[0], version=held.version),
            )
            self._serve_without()
            self._listener.caught_up()
            return
        for saved, whence in self._saved_versions():
            if (config := self._open_saved(saved)) is not None:
                held = self._machine.adopt(Held(saved.version, saved.digest, config))
                _log.warning(
                    "no config owner answers: starting on version %d, %s",
                    held.version,
                    whence,
                    extra=about("no_owner", name=self._hello[0], version=held.version),
                )
                self._serve_without()
                self._listener.swapped(None, held)
                return

    def _saved_versions(self) -> list[tuple[snapshot_file.Saved, str]]:
        """What this process may start on without an owner, the highest version first, and what is said of each."""
        found = []
        if (saved := snapshot_file.load(self._folder) if self.address else None) is not None:
            found.append((saved, "which was committed last"))
        if (inherited := self._inherited) is not None:
            found.append((inherited.saved, f"which `confcast exec` found {inherited.age:.0f} s ago"))
        return sorted(found, key=lambda each: each[0].version, reverse=True)

    def _serve_without(self) -> None:
        self._fallback.finish()
        self._owner.is_missing()


class _Call:
    """One request that waits for its answer."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.answer: Answer | None = None
