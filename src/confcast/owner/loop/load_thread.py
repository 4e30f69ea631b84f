"""Loading beside the loop: a validator that hangs holds nobody but the next load.

One daemon thread takes the orders one by one; its results name their load, and the core drops those that it gave
up. Before validation the content is *marked* in a small file, and unmarked when its result is there: content that an
owner died of stands marked, and its successor loads it only when it is asked to. Rejected: a process per load (the
schema's import alone takes longer than a whole reload) and a thread per load (two loads at once of one source).

Where the keys stand that a worker refuses: a person has to look there, whichever worker it was.

A worker knows keys, and no sources. The owner has the candidate that was voted on, with the layers that it was made
from, until the next load. A key that is not in them has the place of the nearest table around it that is; a problem
that has a place already keeps it. Rejected: sending places with each candidate (all of them, for one that is refused).
"""

from __future__ import annotations

import itertools
import logging
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from msgspec import structs

from confcast.config.candidate import Candidate, Reading
from confcast.config.diff import differences
from confcast.config.loader import ConfigLoader
from confcast.errors import ConfigError, Problem, first_of, more
from confcast.owner.core.effects import Input, Load, Loaded, LoadFailed, Received
from confcast.owner.store.attempts import Attempts
from confcast.texts import Lines
from confcast.tracebacks import is_of_a_library, to_be_logged
from confcast.wire.messages import Change, Declined, ReloadResult, Vote

_log = logging.getLogger("confcast.owner")

_LARGE = 256 * 1024
"""Bytes of a payload beyond which the loop does not wait for positions, which the whole text is parsed for."""

_MOST_CHANGES = 1000
_LONGEST_KEY = 1000


class Loading:
    """The loading thread.

    Args:
        loader: What to load.
        attempts: What was attempted, and what must not be loaded.
        post: Where results go; called in this thread.
    """

    def __init__(
        self,
        loader: ConfigLoader[Any],
        attempts: Attempts,
        post: Callable[[Loaded | LoadFailed], None],
    ) -> None:
        self._loader = loader
        self._attempts = attempts
        self._post = post
        self._startup: queue.SimpleQueue[Load | None] = queue.SimpleQueue()
        self._latest: Candidate[Any] | None = None
        self._made: Candidate[Any] | None = None  # by which what runs was made, or is made again
        self._reading: Reading | None = None
        self._committed: tuple[bytes, Any] | None = None
        self._thread = threading.Thread(target=self._run, name="confcast-load", daemon=True)

    def start(self) -> None:
        """Begin to take orders."""
        self._thread.start()

    def close(self) -> None:
        """No more orders. A load that hangs is left to end with the process."""
        self._startup.put(None)

    def forget_attempt(self) -> None:
        """Have the latest content loaded again, though nobody changes it: what came of it could not be kept."""
        self._attempts.forget()

    def submit(self, order: Load) -> None:
        """Load once; from the loop's thread."""
        self._startup.put(order)

    def committed(self, digest: bytes, payload: bytes) -> None:
        """What later loads are compared with; from the loop's thread, while no load runs."""
        latest = self._latest
        if self._attempts.disabled_for_good:  # its bytes are of another class
            return
        if latest is not None and latest.digest == digest:
            self._committed, self._made = (digest, latest.config), latest
        elif self._committed is None or self._committed[0] != digest:
            self._committed, self._made = (digest, self._loader._codec.decode(payload)), None

    def doing(self) -> str:
        """What the load that runs is waiting for, in words; from any thread.

        The outermost function on the loading thread's stack that is the application's, a validator or a source of its
        own. Where there is none: the name of what reads (a file on a disk that hangs), or else the function of the
        standard library that the application has named as a validator.
        """
        stack = list(_stack(sys._current_frames().get(self._thread.ident or 0)))
        foreign = next((frame for frame in stack if not is_of_a_library(frame)), None)
        if foreign is not None:
            return _shown(foreign)
        source = next((found for frame in reversed(stack) if (found := _source_of(frame))), None)
        if source is not None:
            return str(source)
        called = list(itertools.takewhile(_is_of_the_standard_library, reversed(stack)))
        return _shown(called[-1]) if 0 < len(called) < len(stack) else ""

    def located(self, given: Input) -> Input:
        """A worker's refusal with the places of the keys that it names; any other input as it is. In the loop's thread.

        A vote is about the latest load: no other begins before its end. What is declined is what runs.
        """
        if not isinstance(given, Received) or not isinstance(given.message, Vote | Declined):
            return given
        message = given.message
        candidate = self._latest if isinstance(message, Vote) else self._made
        if candidate is None or not message.problems:
            return given
        return structs.replace(given, message=structs.replace(message, problems=placed(candidate, message.problems)))

    def _run(self) -> None:
        while (order := self._startup.get()) is not None:
            self._post(self._load(order))

    def _load(self, order: Load) -> Loaded | LoadFailed:
        if (disabled := self._attempts.disabled) is not None:
            return LoadFailed(order.number, ReloadResult.VALIDATION_FAILED, (disabled,))
        try:
            return self._load_or_raise(order)
        except ConfigError as error:
            return LoadFailed(order.number, ReloadResult(error.reason), tuple(first_of(error.problems)))
        except BaseException as error:  # a user's validator may raise anything, SystemExit included
            raised = Lines(self._raised(error))
            _log.error("a source or a validator raised what is no answer to a bad configuration\n%s", raised)
            text = f"{type(error).__name__} was raised while loading; the log of the config owner has the traceback"
            return LoadFailed(order.number, ReloadResult.VALIDATION_FAILED, (Problem("", text),))

    def _raised(self, error: BaseException) -> str:
        """Its traceback from the application's frame on, as a text: the secrets of what was read masked."""
        text = "".join(traceback.format_exception(to_be_logged(error))).rstrip()
        try:
            return text if self._reading is None else self._loader._masked(text, self._reading)
        except BaseException as fault:  # the schema's module may be what raised, and would raise it again
            return f"(the text is left out: what is a secret can't be told, {type(fault).__name__})"

    def _load_or_raise(self, order: Load) -> Loaded | LoadFailed:
        self._reading = None
        reading = self._reading = self._read()
        seen = reading.fingerprint
        self._attempts.add(seen)
        if self._attempts.is_quarantined(seen) and not order.insist:
            text = "an owner died while it loaded exactly this content; it is loaded again only by HUP or by a call"
            return LoadFailed(order.number, ReloadResult.VALIDATION_FAILED, (Problem("", text),))
        try:
            self._attempts.begin(seen)
        except OSError as error:
            self._attempts.forget()
            text = (
                f"{self._attempts.path} can't be written ({error.strerror}), and without this file a content that "
                "kills the config owner would be loaded over and over; make room there"
            )
            return LoadFailed(order.number, ReloadResult.IO_ERROR, (Problem("", text),))
        try:
            candidate = self._loader._build(reading)
        finally:
            self._attempts.end(seen)
        notes = self._notes(candidate, self._made if order.insist else self._latest)
        loaded = self._compare(order.number, candidate)
        return structs.replace(loaded, notes=notes) if notes else loaded

    def _read(self) -> Reading:
        try:
            return self._loader._read()
        except ConfigError:
            # What was tried must be known from before a reading, or a change in between would count as tried. Only
            # a failed reading does not tell it, so only that one is done again.
            seen = self._loader._fingerprint()
            try:
                return self._loader._read()
            finally:
                self._attempts.add(seen)

    def _notes(self, candidate: Candidate[Any], before: Candidate[Any] | None) -> tuple[str, ...]:
        """Of edits that are hidden. A watcher's load is about the last edit, one that was asked for about what runs."""
        try:
            return tuple(candidate.hidden_edits_since(before)) if before is not None else ()
        except Exception as error:  # positions are a user's own source's to tell
            _log.warning("edits that are hidden can't be told: %s", type(error).__name__)
            return ()

    def _compare(self, number: int, candidate: Candidate[Any]) -> Loaded:
        committed, self._latest = self._committed, candidate
        digest, payload = candidate.digest, candidate.payload
        if committed is None:
            return Loaded(number, digest, payload, differs=True)
        same = committed[0] == digest
        changes = () if same else _first_of(differences(self._loader._codec, committed[1], candidate.config))
        if self._made is None and not changes:  # an owner before this one made it
            self._made = candidate
        return Loaded(number, digest, payload, differs=bool(changes), changes=changes)


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    """The frames of a thread, the outermost first."""
    frames = []
    while frame is not None:  # in a loop: a validator's recursion may be as deep as ours may go
        frames.append(frame)
        frame = frame.f_back
    return reversed(frames)


def _is_of_the_standard_library(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in sys.stdlib_module_names


def _shown(frame: FrameType) -> str:
    code = frame.f_code
    return f"{frame.f_globals.get('__name__')}:{code.co_qualname} ({code.co_filename}:{frame.f_lineno})"


def _source_of(frame: FrameType) -> object:
    """The source whose method this is; None for another frame."""
    this = frame.f_locals.get("self") if frame.f_code.co_name in ("read", "_read") else None
    return getattr(this, "shown", None) or getattr(this, "path", None)


def _first_of(changes: list[Change]) -> tuple[Change, ...]:
    """As many as an event has room for; one without values counts the others, in its key."""
    shown = [
        change if len(change.key) <= _LONGEST_KEY else Change(f"{change.key[:_LONGEST_KEY]}...", change.old, change.new)
        for change in changes[:_MOST_CHANGES]
    ]
    rest = len(changes) - len(shown)
    return (*shown, Change(more(rest), None, None)) if rest else tuple(shown)


def placed(candidate: Candidate[Any], problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """The same problems, with the places of their keys in the sources of the candidate. Never raises."""
    if len(candidate.payload) > _LARGE:
        return problems
    try:
        return tuple(_placed(candidate, problem) for problem in problems)
    except Exception as error:  # a user's own source tells places by code of its own
        _log.warning("where the refused keys stand can't be told: %s", type(error).__name__)
        return problems


def _placed(candidate: Candidate[Any], problem: Problem) -> Problem:
    if not problem.key or problem.location:
        return problem
    return Problem(problem.key, problem.message, candidate.origin_around(problem.key))
