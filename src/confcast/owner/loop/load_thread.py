"""Loads, one after the other and in one thread: the loop's own, or beside it while a load lasts (`relief.py`).

A load has two halves. The first reads, validates and encodes: its candidate goes to the workers at once. While they
build it, the second proves that the payload decodes to exactly this configuration (G8), and finds what differs; the
core commits nothing before. Where a patch makes the candidate of the committed version, the first half has both: what
the patch makes encodes to the candidate's payload, which is the proof, and shares with the committed version what is
equal, so that what differs is found without a look at the rest.

A result has its load's number; the core drops those of loads that it gave up. Rejected: a process per load (the
schema's import alone takes longer than a whole reload) and a thread per load (two loads at once of one source).

The thread adds the keys' positions to a worker's refusal: a worker knows keys, not sources. The candidate that was
voted on, with the layers that it was made from, is kept until the next load. A key in no layer gets the position of the
nearest enclosing table that has one; a problem with a position keeps it. Rejected: sending positions with each
candidate (all candidates would carry them, for one that is refused).
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from msgspec import structs

from confcast.config.callers_files import may_read_all
from confcast.config.candidate import Candidate, Reading
from confcast.config.codec import Patched
from confcast.config.diff import differences
from confcast.config.loader import ConfigLoader
from confcast.config.overrides import Call, Overrides
from confcast.config.plain_bytes import decode_data, encode_data
from confcast.config.sources.layer import combined, fingerprint_of
from confcast.config.sources.one_load import asked_once
from confcast.errors import ConfcastError, ConfigError, Problem, first_of
from confcast.owner.core.effects import Checked, Input, Load, Loaded, LoadFailed, Probed, Received
from confcast.owner.core.operations import LONGEST_REASON
from confcast.owner.loop import loop_log
from confcast.owner.loop.collector_at_rest import collector_at_rest
from confcast.owner.loop.core_clock import own_date, own_time_of
from confcast.owner.loop.guard_checks import GuardChecks, Verdict
from confcast.owner.loop.masked_reasons import REASONED, Secrets, masked, with_masked_reason
from confcast.owner.loop.questions import Answered, OpenQuestion, answer_to, refusal
from confcast.owner.loop.relief import Relief
from confcast.owner.loop.running_values import RunningValues
from confcast.owner.loop.shown_changes import shown_changes
from confcast.owner.loop.source_positions import hidden_edits, placed
from confcast.owner.loop.what_hangs import what_hangs
from confcast.owner.store.attempts import Attempts
from confcast.owner.store.journal import VersionRow
from confcast.tracebacks import to_be_logged
from confcast.wire.messages import (
    LONGEST_TTL,
    UNDECODABLE,
    Change,
    Check,
    Declined,
    Override,
    ReloadResult,
    Set,
    Unset,
    Vote,
    encode,
)

_FOLLOW = "`confcast resume` follows the sources again"

LoadResult = Loaded | Checked | LoadFailed


@dataclass(frozen=True, slots=True)
class _Compared:
    """What loads are compared with, and what is rebuilt: a committed version, and what its sources gave."""

    digest: bytes = field(repr=False)
    payload: bytes = field(repr=False)
    config: Any = field(repr=False)
    values: bytes = field(repr=False)


class _Comparison(NamedTuple):
    """A candidate beside the committed version.

    Attributes:
        differs: Whether it differs in more than the order of keys.
        changes: What differs, of a candidate that a patch makes; None where that is open, and the proof as well.
        base: The digest of what the patch is for; empty for none.
        patch: Makes the candidate of the committed version; empty for none.
    """

    differs: bool
    changes: tuple[Change, ...] | None = None
    base: bytes = b""
    patch: bytes = b""


class _Unchecked(NamedTuple):
    """A candidate between the halves of its load.

    Attributes:
        changes: Those of its comparison.
        committed: What it differs from.
        before: The load that notes on hidden edits are made against.
        latest: The load before, which is the latest again if this candidate fails its check.
        reading: What it was made from.
        notes: What guards say of it.
    """

    candidate: Candidate[Any]
    changes: tuple[Change, ...] | None
    committed: _Compared | None
    before: Candidate[Any] | None
    latest: Candidate[Any] | None
    reading: Reading
    notes: tuple[str, ...]


class LoadThread:
    """What the thread that loads does; the methods are for the loop's thread, unless they say otherwise.

    Args:
        loader: Reads and validates the sources.
        attempts: What was attempted, and what must not be loaded.
        post: Called with each result that is given in the thread that loads, beside the loop.
        relief: Takes the loop over from a load that lasts.
        during: What is entered around the reading of each load.
        refuses_restart: Whether a change of a value that needs a restart is refused.
        takes_up: Whether the first load takes such changes up: the server has just started.
    """

    def __init__(
        self,
        loader: ConfigLoader[Any],
        attempts: Attempts,
        post: Callable[[LoadResult | Answered], None],
        relief: Relief | None = None,
        *,
        refuses_restart: bool = False,
        takes_up: bool = False,
        during: Callable[[Load], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        self._loader, self._attempts, self._post, self._during = loader, attempts, post, during
        self._orders: queue.SimpleQueue[Load | OpenQuestion | None] = queue.SimpleQueue()
        self._latest: Candidate[Any] | None = None
        self._followed: Candidate[Any] | None = None  # the latest that is no dry run's, whose contents nobody may write
        self._running: Candidate[Any] | None = None  # the candidate that became the running version
        self._reading: Reading | None = None
        self._committed: _Compared | None = None
        self._unchecked: _Unchecked | None = None
        self._relief = relief or Relief()
        self._running_values = RunningValues(loader, refuses=refuses_restart, takes_up=takes_up)
        self._secrets = Secrets(loader)
        self._guards, self._past_guards = GuardChecks(loader), frozenset[bytes]()
        self._loads_in = 0  # the thread
        self._mark_of = b""  # what the present load is marked by
        self._listed: tuple[bytes, bytes, list[Override]] = (b"", b"", [])  # the overrides that were listed last
        self._has_restored = False  # so what is voted on is no load's candidate

    def serve_here(self) -> Iterator[LoadResult | Answered]:
        """Load what is ordered, in the loop's thread, while it has the loop.

        What comes after the loop was taken over from this thread is posted.
        """
        while not self._relief.given and not self._orders.empty():
            if (order := self._orders.get()) is not None:
                yield from self._in_sight(self.answer(order) if isinstance(order, OpenQuestion) else self.load(order))

    def _in_sight(self, results: Iterator[LoadResult | Answered]) -> Iterator[LoadResult | Answered]:
        self._relief.step_begins()
        for result in results:
            if self._relief.step_ended():
                yield result
                self._relief.step_begins()
            else:
                self._post(result)
        self._relief.step_ended()

    def close(self) -> None:
        """Order no further load. One that hangs ends with the process."""
        self._orders.put(None)

    def forget_attempt(self) -> None:
        """Have the latest content loaded again, though it has not changed: its outcome could not be kept."""
        self._attempts.forget()

    def submit(self, order: Load, past_guards: frozenset[bytes] = frozenset()) -> None:
        """Load once more, after the loads before; `past_guards`: digests of contents that no guard is asked about."""
        self._past_guards = past_guards
        self._orders.put(order)

    def submit_question(self, ask: OpenQuestion) -> None:
        """Answer a question, after the loads that were submitted before."""
        self._orders.put(ask)

    def committed(self, digest: bytes, payload: bytes, values: bytes = b"") -> None:
        """Set the content that later loads are compared with, and what its sources gave. Only while no load runs."""
        latest = self._latest
        if self._attempts.disabled_for_good:  # the payload was made from another class
            return
        if latest is not None and latest.digest == digest:
            self._committed, self._running = _Compared(digest, payload, latest.config, values), latest
        elif self._committed is None or self._committed.digest != digest:
            config = self._loader._codec.decode(payload)
            self._committed, self._running = _Compared(digest, payload, config, values), None
        else:
            self._committed = replace(self._committed, values=values)

    def serves(self) -> None:
        """Have no load take up what waits for a restart: the server has started with what is committed."""
        self._running_values.run()

    def restore(self, number: int, row: VersionRow, *, boot: bool = False) -> Loaded | LoadFailed:
        """The content of a kept version, of today's schema, as the result of the load with this number.

        No source is read, and no code of the user's runs, so the loop's thread does this, also while a load hangs.
        `boot`: no worker runs, so the version's values that need a restart are taken up.
        """
        self._has_restored = True
        committed, codec = self._committed, self._loader._codec
        if (disabled := self._attempts.disabled) is not None:
            return LoadFailed(number, ReloadResult.VALIDATION_FAILED, (disabled,))
        try:
            config = codec.decode(row.payload)
            layer, values = self.without_ended(row.version, row.layer, row.values)
        except ConfcastError as error:
            problem = Problem("", f"the content of version {row.version} can't be put back: {error}")
            return LoadFailed(number, ReloadResult.VALIDATION_FAILED, (problem,))
        if boot:
            self.serves()
        elif committed and (faults := self._running_values.faults_of(row.version, config, committed.config)):
            return LoadFailed(number, ReloadResult.VALIDATION_FAILED, faults)
        changes = shown_changes(differences(codec, committed.config, config)) if committed else ()
        same = committed is not None and codec.comparable(committed.config) == codec.comparable(config)
        return Loaded(
            number,
            committed.digest if committed and same else row.digest,
            committed.payload if committed and same else row.payload,
            not same,
            changes,
            notes=(f"the content of version {row.version} is held from now on; {_FOLLOW}",),
            layer=layer.encode(),
            expires=own_time_of(layer.next_expiry or 0.0),
            values=values,
            restores=row.version,
        )

    def without_ended(self, version: int, layer: bytes, values: bytes) -> tuple[Overrides, bytes]:
        """The overrides of a version, and what is below them: what has ended is a value of it. Raises ConfcastError."""
        overrides = Overrides.decode(layer)
        left = overrides.without_expired(own_date())
        if left is overrides or not values:
            return left, values
        reading = self._loader._reading_of(values, f"version {version}", overrides)
        return left, encode_data(self._loader._merge(reading)[0].data)

    def overrides(self, layer: bytes) -> list[Override]:
        """The overrides of this layer as people see them, secrets masked; none if they can't be read."""
        if not layer:
            return []
        values = self._committed.values if self._committed is not None else b""
        if (layer, values) == self._listed[:2]:  # the loop asks for each answer to a query
            return self._listed[2]
        try:
            found = Overrides.decode(layer).listed(self._loader.schema, decode_data(values) if values else {})
            self._listed = layer, values, found
            return found
        except (ConfcastError, *UNDECODABLE, ValueError) as error:
            loop_log.not_listed(type(error).__name__)
            return []

    def doing(self) -> str:
        """What the load that runs is waiting for, in words; "" where that is not known. For any thread."""
        return what_hangs(self._loads_in)

    def located(self, given: Input) -> Input:
        """Add to a worker's refusal the positions of the keys that it names, and mask secrets in a request's reason.

        Any other input comes back as it is. A vote is about the latest load: no other load begins before its end.
        Workers decline the running version.
        """
        if isinstance(given, Probed):
            return structs.replace(given, why=masked(given.why, self._secrets, *self._with_secrets()))
        if isinstance(given, Received) and type(given.message) in REASONED:
            message = with_masked_reason(given.message, self._secrets, *self._with_secrets())
            return structs.replace(given, message=message)
        if not isinstance(given, Received) or not isinstance(given.message, Vote | Declined):
            return given
        message = given.message
        voted_on = None if self._has_restored else self._latest
        candidate = voted_on if isinstance(message, Vote) else self._running
        if candidate is None or not message.problems:
            return given
        return structs.replace(given, message=structs.replace(message, problems=placed(candidate, message.problems)))

    def _with_secrets(self) -> list[Any]:
        """The configurations whose secrets nobody is shown: what runs, and what was loaded last, perhaps on trial."""
        found = [each.config for each in (self._committed, self._latest) if each is not None]
        return found[:1] if len(found) == 2 and found[0] is found[1] else found

    def load(self, order: Load) -> Iterator[LoadResult]:
        """Load once, in the calling thread. A candidate is given before it is checked: workers build it meanwhile."""
        self._loads_in = threading.get_ident()
        self._has_restored = False
        with collector_at_rest(), self._during(order):
            result = self._first_half(order)
        try:
            yield result
        except GeneratorExit:  # the owner ends
            if self._unchecked is not None:
                self._attempts.end(self._mark_of)
            raise
        if self._unchecked is not None:
            with collector_at_rest():
                checked = self._second_half(order, self._unchecked)
            yield checked

    def answer(self, ask: OpenQuestion) -> Iterator[Answered]:
        """Answer a question, in the calling thread: load the sources if it takes that, and keep nothing of it."""
        self._loads_in = threading.get_ident()
        try:
            with collector_at_rest():
                values = b"" if self._committed is None else self._committed.values
                answer = answer_to(ask, self._loader, lambda: self._for_a_question(ask), values)
        except ConfcastError as error:
            answer = refusal(ask.question, *self._why(error))
        except BaseException as error:
            answer = refusal(ask.question, *self._verdict(error)[1])
        yield Answered(ask.number, answer)

    def _why(self, error: ConfcastError) -> list[Problem]:
        return first_of(error.problems) if isinstance(error, ConfigError) else [Problem("", str(error))]

    def _for_a_question(self, ask: OpenQuestion) -> Candidate[Any]:
        """What the sources give now; it counts as no attempt. Raises ConfigError, and what the user's code raises."""
        if self._attempts.disabled is not None:
            raise ConfigError([self._attempts.disabled])
        self._reading = None
        overrides = Overrides.decode(ask.overrides).without_expired(own_date()).to_be_tried()
        reading = self._reading = self._loader._read().with_overrides(overrides, overrides)
        self._begin(reading.fingerprint, insist=False)
        try:
            return self._loader._propose(reading)
        finally:
            self._attempts.end(reading.fingerprint)

    def _first_half(self, order: Load) -> Loaded | LoadFailed:
        if (disabled := self._attempts.disabled) is not None:
            return LoadFailed(order.number, ReloadResult.VALIDATION_FAILED, (disabled,))
        self._reading = None
        try:
            self._guards.check_names(order.allow)
            reading = self._reading = self._read_for(order)
            self._mark(reading, order)
        except BaseException as error:
            return self._failed(order, error)
        try:
            reading = self._reading = self._overridden(reading, order)
            candidate, pending = self._with_running_values(self._loader._propose(reading), reading)
            found = self._compare(candidate)
        except BaseException as error:
            self._attempts.end(self._mark_of)
            self._follow(reading, order)
            return self._failed(order, error)
        self._follow(reading, order)
        guarded = self._guarded(order, candidate, reading) if found.differs else Verdict()
        if guarded.problems:
            self._attempts.end(self._mark_of)
            return LoadFailed(order.number, ReloadResult.GUARDED, guarded.problems)
        self._running_values.run()
        latest, self._latest = self._latest, candidate
        before = self._running if order.insist else self._followed
        loaded = Loaded(
            order.number,
            candidate.digest,
            candidate.payload,
            found.differs,
            layer=reading.overrides.encode(),
            expires=own_time_of(reading.overrides.next_expiry or 0.0),
            pending=pending,
            values=self._values(candidate, reading) if order.values else b"",
        )
        if found.differs:
            parts = (candidate, found.changes, self._committed, before, latest, reading, guarded.notes)
            self._unchecked = _Unchecked(*parts)
            if order.compare:
                return self._whole(order, loaded, self._unchecked)
            return structs.replace(loaded, checked=False, base=found.base, patch=found.patch)
        self._attempts.end(self._mark_of)
        self._running = self._running or candidate  # where a former owner made it, there is none
        self._followed = self._followed if order.dry else candidate
        return structs.replace(loaded, notes=hidden_edits(candidate, before))

    def _guarded(self, order: Load, candidate: Candidate[Any], reading: Reading) -> Verdict:
        """What guards say of a candidate that may be proposed. It ends within the load's time, or is given up."""
        committed = self._committed
        if committed is None or order.compare or candidate.digest in self._past_guards:
            return Verdict()
        return self._guards.verdict(order, committed.config, candidate, reading)

    def _failed(self, order: Load, error: BaseException) -> LoadFailed:
        """The failure as a result; a dry run's problems have the lines that they name, for the person who asked."""
        result, problems = self._verdict(error)
        if order.dry:
            with contextlib.suppress(ConfigError):  # of contents for which there is no file: there is no line, either
                problems = self._loader_for(order)._with_excerpts(problems)
        return LoadFailed(order.number, result, problems)

    def _loader_for(self, order: Load) -> ConfigLoader[Any]:
        """The loader, with the contents of files that a dry run is to try. Raises ConfigError."""
        if isinstance(order.edit, Check) and order.edit.files:
            return self._loader._with_contents(order.edit.files, trusted=may_read_all(order.who))
        return self._loader

    def _whole(self, order: Load, loaded: Loaded, unchecked: _Unchecked) -> Loaded | LoadFailed:
        """Both halves as one result, of a candidate that is compared and not proposed."""
        checked = self._second_half(order, unchecked)
        if checked.problems:
            return LoadFailed(order.number, ReloadResult.VALIDATION_FAILED, checked.problems)
        return structs.replace(loaded, changes=checked.changes, notes=checked.notes)

    def _second_half(self, order: Load, unchecked: _Unchecked) -> Checked:
        """Prove that the candidate decodes to itself, and find what differs. The mark ends here: this may kill, too."""
        candidate, changes, committed, before, latest, reading, notes = unchecked
        self._unchecked = None
        codec = self._loader._codec
        try:
            if changes is None:
                self._loader._check(candidate)
                changes = shown_changes(differences(codec, committed.config, candidate.config)) if committed else ()
            self._followed = self._followed if order.dry else candidate
            return Checked(
                order.number,
                changes,
                (*hidden_edits(candidate, before), *notes),
                values=self._values(candidate, reading),
            )
        except BaseException as error:
            self._latest = latest
            return Checked(order.number, problems=self._verdict(error)[1])
        finally:
            self._attempts.end(self._mark_of)

    def _values(self, candidate: Candidate[Any], reading: Reading) -> bytes:
        """What the sources gave, merged, as bytes; empty if it is no plain data, which harms no reload."""
        try:
            return self._loader._given(reading, candidate) if reading.overrides else encode_data(candidate._merged.data)
        except (ConfigError, TypeError) as error:
            loop_log.not_settable(error)
            return b""

    def _verdict(self, error: BaseException) -> tuple[ReloadResult, tuple[Problem, ...]]:
        """What an error means for the load. A validator of the user's may raise anything, SystemExit included."""
        if isinstance(error, ConfigError):
            problems = first_of(error.problems)
            return ReloadResult(error.reason), tuple(map(self._masked, problems) if self._reading is None else problems)
        loop_log.load_raised(error, self._raised(error))
        text = f"{type(error).__name__} was raised while loading; the log of the config owner has the traceback"
        return ReloadResult.VALIDATION_FAILED, (Problem("", text),)

    def _masked(self, problem: Problem) -> Problem:
        """What a source says of itself, perhaps in a program's words, with the secrets that run masked."""
        message = masked(problem.message, self._secrets, *self._with_secrets())
        return Problem(problem.key, message, problem.location)

    def _raised(self, error: BaseException) -> str:
        """The traceback as text, from the application's frame on; secrets in the sources' values are masked."""
        text = "".join(traceback.format_exception(to_be_logged(error))).rstrip()
        try:
            return text if self._reading is None else self._loader._masked(text, self._reading)
        except BaseException as fault:  # the schema's module may have raised, and may raise again
            return f"(the text is left out: what is a secret can't be told, {type(fault).__name__})"

    def _read_for(self, order: Load) -> Reading:
        """What the sources give, or gave to the committed version. Raises ConfigError, ProtocolError."""
        if isinstance(order.edit, Check) and order.edit.files:
            return self._loader._read_with(order.edit.files, trusted=may_read_all(order.who))
        if not order.rebuild:
            return self._read() if _counts(order) else self._loader._read()
        committed = self._committed
        if committed is None or not committed.values:
            text = "what the sources gave to the version that runs is not known, so nothing can be changed above it"
            raise ConfigError([Problem("", f"{text}: resume first, so that the sources are followed again")])
        return self._loader._reading_of(committed.values, "the version that runs", config=committed.config)

    def _overridden(self, reading: Reading, order: Load) -> Reading:
        """The reading under the overrides of the order, as its edit leaves them. Raises ConfigError, ProtocolError."""
        date, now = time.time(), own_date()
        overrides = Overrides.decode(order.layer)
        if order.rebuild and order.edit is None:  # the core says that the next end has come, to the last digit
            now = max(now, overrides.next_expiry or now)
        present = overrides.to_be_tried()
        inherited = present.without_expired(now)
        left = reading.with_overrides(inherited, inherited)
        match order.edit:
            case Set(ttl=ttl) if ttl is not None and not 0 < ttl <= LONGEST_TTL:  # not by our own verbs
                raise ConfigError(
                    [Problem("", f"a time of {ttl:g} s can't be set: give one above 0, of at most ten years")]
                )
            case Set(values=values, ttl=ttl, reason=reason):
                call = Call(date, order.who, reason[:LONGEST_REASON], None if ttl is None else now + ttl)
                return reading.with_overrides(self._loader._set(left, values, call), inherited)
            case Check(values=values):
                return reading.with_overrides(self._loader._set(left, values, Call(date, order.who)), inherited)
            case Unset(keys=keys):  # also of what is set beyond its end, since that was refused, or undone
                unset = present.unset(keys, self._loader.schema).without_expired(now)
                return reading.with_overrides(unset, inherited)
            case _:
                return left

    def _mark(self, reading: Reading, order: Load) -> None:
        """Write that this content is being loaded. Raises ConfigError where it must not be."""
        seen = reading.fingerprint
        if order.edit is not None:  # the sources are not to blame for what is set
            seen = combined([seen, fingerprint_of(encode(order.edit))])
        self._mark_of = seen
        if _counts(order):
            self._attempts.add(seen)
        self._begin(seen, insist=order.insist)

    def _begin(self, seen: bytes, *, insist: bool) -> None:
        if self._attempts.is_quarantined(seen) and not insist:
            text = "an owner died while it loaded exactly this content; it is loaded again only by HUP or by a call"
            raise ConfigError([Problem("", text)])
        try:
            self._attempts.begin(seen)
        except OSError as error:
            self._attempts.forget()
            text = (
                f"{self._attempts.path} can't be written ({error.strerror}), and without this file a content that "
                "kills the config owner would be loaded over and over; make room there"
            )
            raise ConfigError([Problem("", text)], "io_error") from None

    @asked_once()
    def _read(self) -> Reading:
        try:
            return self._loader._read()
        except ConfigError:
            # A failed read has no fingerprint. So read again, and pair it with a fingerprint from before it: a
            # fingerprint from after it would count a change in between as attempted.
            seen = self._loader._fingerprint()
            try:
                return self._loader._read()
            finally:
                self._attempts.add(seen)

    def _with_running_values(
        self, candidate: Candidate[Any], reading: Reading
    ) -> tuple[Candidate[Any], tuple[Change, ...]]:
        """The candidate with what runs where a restart is needed, and what waits for one. Raises ConfigError."""
        committed = self._committed
        if committed is None:
            return candidate, ()
        return self._running_values.kept(candidate, reading, committed.config, committed.values)

    def _follow(self, reading: Reading, order: Load) -> None:
        """Have the files watched that this load has found to be named, also if one of them is missing.

        What was set may be refused, so its files come beside those that are watched already. A dry run changes nothing.
        """
        known, named = self._loader._contents, reading.named
        if named is None or order.dry:
            return
        if not _counts(order):
            named = tuple(dict.fromkeys((*known, *named)))
        if named != known and set(named) <= reading.contents.keys():
            after = reading.fingerprint_with(named)
            self._attempts.exchange(reading.fingerprint, after, lambda: self._loader._follow(named))

    def _compare(self, candidate: Candidate[Any]) -> _Comparison:
        """Compare with the committed version. If a patch makes the candidate of it, that has the patched copy then."""
        committed, codec = self._committed, self._loader._codec
        if committed is None:
            return _Comparison(differs=True)
        if committed.digest == candidate.digest:
            return _Comparison(differs=False)
        patched = self._patch(candidate, committed)
        if patched is None:
            return _Comparison(codec.comparable(committed.config) != codec.comparable(candidate.config))
        changes = shown_changes(differences(codec, committed.config, patched.config, patched=True))
        candidate.config = patched.config
        return _Comparison(bool(changes), changes, committed.digest, patched.patch)

    def _patch(self, candidate: Candidate[Any], committed: _Compared) -> Patched[Any] | None:
        """The patch that makes the candidate of the committed version, and what it makes; None for none."""
        try:
            return self._loader._codec.patch(committed.config, committed.payload, candidate.payload)
        except Exception as error:  # the whole payload is as good, and a valid configuration is not refused for it
            loop_log.no_patch(type(error).__name__)
            return None


def _counts(order: Load) -> bool:
    """Whether the sources' content counts as attempted: the watcher then requests no load of it."""
    return not order.dry and not order.rebuild and order.edit is None
