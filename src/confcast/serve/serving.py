"""The process of `confcast serve`: it has a manager, and so an owner, and runs in the foreground until it is ended.

Signals are read by the main thread, which sleeps otherwise: HUP asks for a reload, TERM and INT end the process with
its owner, also while it starts. The loader is found by another process, as launchers do for masters that fork: this one
imports nothing of the user's, and what starts after a deploy has the new code.

With `--take-over` it takes the place of another one (`succession.py`), and so may another one take its place: then it
ends at once if its workers follow, and else when the last one has left, which it looks for each second.

Guarantees. The address leads to the owner only while that serves, and is removed at the end if it still leads there.
If this process is killed, its owner ends too; workers keep their version, and find the next owner at the address.

Rejected: to be the owner (a validator that hangs or crashes would take the address and the signals with it).
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from confcast.errors import ConfcastError, ConfigError, NotCarried, OwnerUnavailable, Problem, first_of
from confcast.log_fields import about
from confcast.master.embedded import EmbeddedManager
from confcast.master.manager import former_variable
from confcast.serve import passed_socket
from confcast.serve.address_link import AddressLink, AddressRefused
from confcast.serve.events import Event, Events
from confcast.serve.former import Former
from confcast.serve.passed_socket import PassedSocket
from confcast.serve.permissions import LetIn, check_way, of_socket
from confcast.serve.successor import Place, Superseded, place_of
from confcast.texts import Lines, printable
from confcast.wire.files import lasting_address, owner_dirs
from confcast.wire.files.owner_dirs import TAKE_OVER, OwnerDir
from confcast.wire.options import EmbeddedOptions, checked

_log = logging.getLogger("confcast.serve")

DONE, REFUSED, NO_OWNER = 0, 1, 3
"""The exit statuses: ended by a signal; the first load, or the address, is refused; the owner could not start."""

_ENDS = (signal.SIGTERM, signal.SIGINT)
_LOOKS_EACH = 1.0
"""Seconds between two looks for the last workers, once this process is superseded."""
_STARTS_WITHIN = 40.0
"""Seconds, beyond a load, in which an owner has started or has failed to."""
_MOST_TIMES = 3
_NO_TAKE_OVER = (
    "{} is a service manager's socket: nothing takes over there. Restart the service; who connects meanwhile waits"
)


class PlugIn:
    """What else runs in a `confcast serve`: metrics, or the words for a service manager. This base does nothing.

    All methods are called in the process's main thread, and must return soon; a plug-in that waits for something has a
    thread of its own. What a plug-in raises ends the process, with the owner: a plug-in handles its own failures.
    """

    def starts(self, serving: Serving) -> None:
        """The process has begun; no owner runs yet. Raises ConfcastError to refuse the start."""

    def prepares(self, serving: Serving) -> None:
        """The manager is made, and not started yet."""

    def serves(self, serving: Serving) -> None:
        """The first version is committed, and the address leads to its owner."""

    def reload(self, serving: Serving) -> bool:
        """A HUP has come. Returns whether this plug-in has asked for the reload, so that nothing else need.

        After `superseded` nothing is reloaded here any more.
        """
        return False

    def superseded(self, serving: Serving) -> None:
        """Another process has taken over, and begins what this one has to end; workers may still be served here."""
        self.ends(serving)

    def ends(self, serving: Serving) -> None:
        """The owner is about to be closed; what `starts` and `serves` have begun ends here.

        May come without them, and may come again.
        """


class Serving:
    """One `confcast serve`, from its start to its exit status. For the main thread, but for `post`.

    Args:
        loader: The loader, MODULE:NAME.
        options: The manager's options.
        address: The lasting address; None: the owner is found by its name only.
        let_in: Who may attach besides the processes of this user.
        takes_over: Whether to take the place of a `confcast serve` that serves there already.
        plug_ins: What else runs in this process.

    Attributes:
        manager: The manager, once it is made.
        refusal: Why nothing is served, for a program: `error`, and `problems` of a configuration; empty before.
        link: The lasting address, if it is a link.
        passed: The socket that a service manager has passed, in its place.
        successor: The pid of the process that has taken over; 0 before.
    """

    def __init__(
        self,
        loader: str,
        options: EmbeddedOptions,
        address: str | None = None,
        *,
        let_in: LetIn = LetIn(),  # noqa: B008 - immutable
        takes_over: bool = False,
        plug_ins: Sequence[PlugIn] = (),
    ) -> None:
        self._loader = loader
        self._options = options
        self._let_in = let_in
        self._takes_over = takes_over
        self._plug_ins = plug_ins
        self._name = options.get("name", "app")
        self._former: Former | None = None
        self._lingers = False  # superseded, with workers that are served on
        self._given_address = address
        self.link: AddressLink | None = None
        self.passed: PassedSocket | None = None
        self.manager: EmbeddedManager[Any] | None = None
        self.refusal: dict[str, object] = {}
        self.successor = 0
        self._events = Events()
        self._starts = True
        self._status: int | None = None

    def run(self) -> int:
        """Serve until a signal ends it, and return the exit status. Everything that is refused is logged."""
        try:
            _import_from_here()
            with self._signals():
                self._start()
                self._starts = False
                while self._status is None:
                    self._turn()
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
        self._events.post(event)

    def end(self, status: int = DONE) -> None:
        """End the process in the next turn, with this exit status."""
        self._status = status

    @property
    def address(self) -> str:
        """Where workers attach: the lasting address, else the owner's control socket."""
        assert self.manager is not None
        lasting = self.link or self.passed
        return self.manager.address if lasting is None else str(lasting.path)

    # ---- inside

    def _refuse(self, status: int, what: str, why: str, problems: Sequence[Problem] = ()) -> int:
        fields = about("serve_refused", error=what, problems=[*map(str, problems)] or [why])
        shown = Lines(f"\n{why}") if len(problems) > 1 else why
        _log.error("%s: %s", what, shown, extra=fields)
        self.refusal = {"error": f"{what}: {why}", "problems": problems}
        return status

    def _start(self) -> None:
        self._take_address()
        present = self._present()
        for plug_in in self._plug_ins:
            plug_in.starts(self)
        loader = EmbeddedManager.find_afresh(self._loader, **self._options)
        self.manager = EmbeddedManager(loader, **self._options, enable_signal_handler=False)
        for plug_in in self._plug_ins:
            plug_in.prepares(self)
        if present is None:
            self._begin(None)
        else:
            self._take_over(present)
        for plug_in in self._plug_ins:
            plug_in.serves(self)
        self._log_that_it_serves(self.manager)

    def _log_that_it_serves(self, manager: EmbeddedManager[Any]) -> None:
        """Log which version is served, and where. An owner that does not answer just now is no reason to end."""
        where = printable(self.address)
        try:
            version = manager.get_stats()["version"]
        except OwnerUnavailable as error:
            fields = about("serving", name=self._name, address=self.address, error=error)
            _log.warning("serving %r at %s; now %s", self._name, where, error, extra=fields)
        else:
            fields = about("serving", name=self._name, version=version, address=self.address)
            _log.info("serving version %d of %r at %s", version, self._name, where, extra=fields)

    def _take_address(self) -> None:
        """The lasting address, as it is given or passed. Raises AddressRefused: it can't be used."""
        address = self._given_address
        self.passed = passed = passed_socket.passed(self._name)
        if passed is None:
            self.link = None if address is None else AddressLink(address)
            if self.link is not None:
                check_way(self.link.path, self._let_in)
            return
        if address is not None and Path(address).absolute() != passed.path:
            raise AddressRefused(f"--address {address} is not the path of the socket that was passed, {passed.path}")
        if self._takes_over:
            raise AddressRefused(_NO_TAKE_OVER.format(passed.path))
        if self._let_in.is_nobody_else:
            self._let_in = of_socket(passed.path)

    def _present(self) -> OwnerDir | None:
        """The owner whose place is taken; None if the place is free. Raises AddressRefused."""
        if self.link is not None:
            present = self.link.owner()
            if present is not None and not self._takes_over:
                raise self.link.is_taken(present)
        else:
            named = owner_dirs.meant(self._name, owner_dirs.living(name=self._name)) if self._takes_over else []
            serving = [each for each in named if (each.path / TAKE_OVER).exists()]
            if len(serving) > 1:
                masters = ", ".join(str(each.master) for each in serving)
                raise AddressRefused(f"several processes serve {self._name!r} here ({masters}): give --address")
            present = next(iter(serving), None)
        if present is not None and present.label != owner_dirs.label(self._name):
            raise AddressRefused(f"the owner there is that of {present.label!r}, and not of {self._name!r}")
        if present is None and self._takes_over:
            text = "nothing is served there that could be taken over: this process begins as the first one"
            _log.info(text, extra=about("nothing_to_take_over", name=self._name))
        return present

    def _take_over(self, present: OwnerDir) -> None:
        within = checked(self._options).load_timeout + _STARTS_WITHIN
        for _ in range(_MOST_TIMES):
            try:
                with place_of(present, within) as place:
                    self._begin(place)
            except Superseded:
                following = self._present()
                if following is None:
                    self._begin(None)
                    return
                present = following
            else:
                if place.is_taken:
                    _log.info("process %d is superseded", present.master, extra=about("took_over", pid=present.master))
                return
        raise AddressRefused(f"process {present.master} was taken over, and so was each that followed it: try again")

    def _begin(self, place: Place | None) -> None:
        """Start the owner, and have the address lead to it. If that fails, no owner is left."""
        manager = self.manager
        assert manager is not None
        if place is not None and place.address and self.link is None:
            self.link = AddressLink(place.address)
        if (lasting := self.link or self.passed) is not None:
            manager.lasts_at(str(lasting.path), left=lasting_address.is_left(str(lasting.path)))
        if self.passed is not None:
            manager.accepts_on(self.passed.descriptor)
        if not self._let_in.is_nobody_else:
            manager.lets_in(self._let_in.uid, self._let_in.gid, each_of_the_group=self._let_in.shared)
        if place is not None and not place.is_free:
            os.environ[former_variable(self._name)] = str(place.folder)
        try:
            manager.start()
            folder = Path(manager.address).parent
            self._former = former = Former(manager, self.link, self._on_superseded, self._no_successor)
            former.start()
            if self.passed is not None:
                self.passed.lead_to(folder)
            if place is not None:
                place.hand_over(folder, lambda: _connected_to(manager), manager.expect)
            if self.link is not None and (place is None or place.is_free):
                dead = place is not None and not owner_dirs.is_of_a_living_master(place.folder)
                self.link.take(manager.address, instead_of=place.folder if place is not None and dead else None)
        except BaseException:  # before the former goes on: two owners would load
            self._close_owner()
            raise
        former.open()

    @property
    def _no_successor(self) -> str:
        return "" if self.passed is None else _NO_TAKE_OVER.format(self.passed.path)

    def _turn(self) -> None:
        """Do what a signal or a thread has asked for; while the last workers are served on, look for them."""
        event = self._events.next(_LOOKS_EACH if self._lingers else None)
        if event is None:
            self._end_without_workers()
        else:
            event()

    def _on_superseded(self, pid: int, follow: bool, ended: Callable[[], object]) -> None:
        self.post(lambda: self._give_way(pid, follow, ended))

    def _give_way(self, pid: int, follow: bool, ended: Callable[[], object]) -> None:
        """Another process has taken over. End what it begins, and then this process, once no worker needs it."""
        assert self.manager is not None
        self.successor = pid
        try:
            for plug_in in self._plug_ins:
                plug_in.superseded(self)
        finally:
            ended()
        if follow:
            _log.info("superseded: the workers follow, and this process ends", extra=about("superseded", pid=pid))
            self.end()
            return
        text = "superseded: this process ends when the last worker of its schema has left"
        _log.info(text, extra=about("superseded", pid=pid))
        self._lingers = True
        self.manager.supersede()
        self._end_without_workers()

    def _end_without_workers(self) -> None:
        assert self.manager is not None
        with contextlib.suppress(OwnerUnavailable):  # it is being restarted, and has its roster again
            if not self.manager.workers():
                _log.info("no worker is left: this process ends", extra=about("no_worker_left"))
                self.end()

    def _reload(self) -> None:
        """What a HUP asks for."""
        assert self.manager is not None
        if self._lingers:
            text = "superseded: nothing is loaded here any more; ask the process that has taken over (%d)"
            _log.warning(text, self.successor, extra=about("reload_while_superseded", pid=self.successor))
            for plug_in in self._plug_ins:
                plug_in.reload(self)
            return
        self._put_back_the_address(self.manager)
        asked = [plug_in.reload(self) for plug_in in self._plug_ins]  # each is told
        if not any(asked):
            self.manager.request_reload()

    def _put_back_the_address(self, manager: EmbeddedManager[Any]) -> None:
        """Have the address lead to the owner again, if a cleaner of folders has removed the link."""
        if self.passed is not None:
            self.passed.lead_to(Path(manager.address).parent)
        if self.link is None or self.link.leads_to(manager.address):
            return
        try:
            self.link.take(manager.address)
        except AddressRefused as error:
            _log.error("%s", error, extra=about("address_lost", address=self.address, error=error))
        else:
            text = "%s did not lead to this process's owner any more, and does again"
            _log.warning(text, printable(self.address), extra=about("address_restored", address=self.address))

    def _close(self) -> None:
        for plug_in in self._plug_ins:
            plug_in.ends(self)
        self._close_owner()

    def _close_owner(self) -> None:
        """Close the manager, and remove the address if it still leads there. May be called again."""
        if self._former is not None:
            self._former.close()
        manager = self.manager
        if manager is None or not manager.is_mine():
            return
        if self.link is not None:
            self.link.give_back(manager.address)
        if self.passed is not None:
            self.passed.give_back(Path(manager.address).parent)
        manager.close()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Have signals become events; the former handlers are set again afterwards."""
        before = {number: signal.getsignal(number) for number in (*_ENDS, signal.SIGHUP)}
        for number in before:
            signal.signal(number, self._on_signal)
        try:
            with self._events.awaited():
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


def _connected_to(manager: EmbeddedManager[Any]) -> list[int]:
    """The workers that have come. Others may be on the roster already, by the former owner's."""
    return [each.pid for each in manager.workers() if each.state != "disconnected"]


def _import_from_here() -> None:
    """Have modules of the current directory be found. Raises ConfcastError: there is none."""
    try:
        here = str(Path.cwd())
    except FileNotFoundError:
        raise ConfcastError("the working directory was deleted: start in one that is there") from None
    if here not in sys.path:
        sys.path.insert(0, here)


class _Ended(BaseException):
    """A signal has ended the process while it started. No Exception: a start that handles those must not go on."""
