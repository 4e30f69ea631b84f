"""The process of `confcast serve`: it has a manager, and so an owner, and runs in the foreground until it is ended.

Signals are read by the main thread, which sleeps otherwise: HUP asks for a reload, TERM and INT end the process with
its owner, also while it starts. The loader is found by another process, as launchers do for masters that fork: this one
imports nothing of the user's, and what starts after a deploy has the new code.

Guarantees. The address leads to the owner only while that serves, and is removed at the end if it still leads there.
If this process is killed, its owner ends too; workers keep their version, and find the next owner at the address.

Rejected: to be the owner (a validator that hangs or crashes would take the address and the signals with it).
"""

from __future__ import annotations

import logging
import queue
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from confcast.errors import ConfcastError, ConfigError, NotCarried, Problem, first_of
from confcast.master.embedded import EmbeddedManager
from confcast.serve.address_link import AddressLink, AddressRefused
from confcast.texts import printable
from confcast.wire.options import EmbeddedOptions

_log = logging.getLogger("confcast.serve")

DONE, REFUSED, NO_OWNER = 0, 1, 3
"""The exit statuses: ended by a signal; the first load, or the address, is refused; the owner could not start."""

_ENDS = (signal.SIGTERM, signal.SIGINT)

Event = Callable[[], object]


class PlugIn:
    """What else runs in a `confcast serve`: metrics, or the words for a service manager. This base does nothing.

    All methods are called in the process's main thread, and must return soon; a plug-in that waits for something has a
    thread of its own. What a plug-in raises ends the process, with the owner: a plug-in handles its own failures.
    """

    def starts(self, serving: Serving) -> None:
        """The process has begun; no owner runs yet. Raises ConfcastError to refuse the start."""

    def serves(self, serving: Serving) -> None:
        """The first version is committed, and the address leads to its owner."""

    def reload(self, serving: Serving) -> bool:
        """A HUP has come. Returns whether this plug-in has asked for the reload, so that nothing else need."""
        return False

    def ends(self, serving: Serving) -> None:
        """The owner is about to be closed; what `starts` and `serves` have begun ends here. May come without them."""


class Serving:
    """One `confcast serve`, from its start to its exit status. For the main thread, but for `post`.

    Args:
        loader: The loader, MODULE:NAME.
        options: The manager's options.
        address: The lasting address; None: the owner is found by its name only.
        plug_ins: What else runs in this process.

    Attributes:
        manager: The manager, once it is made.
        refusal: Why nothing is served, for a program: `error`, and `problems` of a configuration; empty before.
        link: The lasting address.
    """

    def __init__(
        self,
        loader: str,
        options: EmbeddedOptions,
        address: str | None = None,
        plug_ins: Sequence[PlugIn] = (),
    ) -> None:
        self._loader = loader
        self._options = options
        self._plug_ins = plug_ins
        self.link = None if address is None else AddressLink(address)
        self.manager: EmbeddedManager[Any] | None = None
        self.refusal: dict[str, object] = {}
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()  # its put may interrupt a put
        self._starts = True
        self._status: int | None = None

    def run(self) -> int:
        """Serve until a signal ends it, and return the exit status. Everything that is refused is logged."""
        if str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        try:
            with self._signals():
                self._start()
                self._starts = False
                while self._status is None:
                    self._events.get()()
        except _Ended:
            return DONE
        except (ConfigError, NotCarried) as error:
            problems = first_of(error.problems)
            text = "\n".join(printable(str(each)) for each in problems)
            return self._refuse(REFUSED, "the configuration is refused, nothing is served", text, problems)
        except AddressRefused as error:
            return self._refuse(REFUSED, "nothing is served", str(error))
        except (ConfcastError, OSError, TypeError, ValueError) as error:
            return self._refuse(NO_OWNER, "the config owner could not start", str(error))
        finally:
            self._close()
        return self._status

    def post(self, event: Event) -> None:
        """Have the main thread call this soon. For any thread, and for signal handlers."""
        self._events.put(event)

    def end(self, status: int = DONE) -> None:
        """End the process in the next turn, with this exit status."""
        self._status = status

    @property
    def address(self) -> str:
        """Where workers attach: the lasting address, else the owner's control socket."""
        assert self.manager is not None
        return self.manager.address if self.link is None else str(self.link.path)

    # ---- inside

    def _refuse(self, status: int, what: str, why: str, problems: Sequence[Problem] = ()) -> int:
        _log.error("%s: %s%s", what, "\n" * bool(problems), why)
        self.refusal = {"error": f"{what}: {why}", "problems": problems}
        return status

    def _start(self) -> None:
        if self.link is not None and (present := self.link.owner()) is not None:
            raise self.link.is_taken(present)
        for plug_in in self._plug_ins:
            plug_in.starts(self)
        loader = EmbeddedManager.find_afresh(self._loader, self._options.get("executable"))
        self.manager = manager = EmbeddedManager(loader, **self._options, enable_signal_handler=False)
        manager.start()
        if self.link is not None:
            self.link.take(manager.address)
        for plug_in in self._plug_ins:
            plug_in.serves(self)
        version = manager.get_stats()["version"]
        _log.info("serving version %d of %r at %s", version, manager.name, printable(self.address))

    def _reload(self) -> None:
        """What a HUP asks for. The link may have been removed by a cleaner of folders: then it is put back."""
        assert self.manager is not None
        if self.link is not None and not self.link.leads_to(self.manager.address):
            try:
                self.link.take(self.manager.address)
            except AddressRefused as error:
                _log.error("%s", error)
            else:
                _log.warning("%s did not lead to this process's owner any more, and does again", self.address)
        asked = [plug_in.reload(self) for plug_in in self._plug_ins]  # each is told
        if not any(asked):
            self.manager.request_reload()

    def _close(self) -> None:
        for plug_in in self._plug_ins:
            plug_in.ends(self)
        manager = self.manager
        if manager is None or not manager.is_mine():
            return
        if self.link is not None:
            self.link.give_back(manager.address)
        manager.close()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Have signals become events; the former handlers are set again afterwards."""
        before = {number: signal.getsignal(number) for number in (*_ENDS, signal.SIGHUP)}
        for number in before:
            signal.signal(number, self._on_signal)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self.post(self._reload)
        elif self._starts:  # a load may last: the start is given up at once
            self._starts = False
            raise _Ended
        else:
            self.post(self.end)


class _Ended(BaseException):
    """A signal has ended the process while it started. No Exception: a start that handles those must not go on."""
