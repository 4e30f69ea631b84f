"""Evidence: what was seen of versions since they run, and whether that speaks against one that is provisional.

Four kinds: a worker has *died* of it, a worker *spoke* against it (a health check, or the application), its requests
were *counted* and more of them failed than with the other version, a *probe* of the manager's said no. What is noted
here decides nothing: the core asks `against()` of a version on probation, and `against_trial()` of one on trial.

    deaths          On probation: `max_deaths` on the version since its commit, and more than there were, on whatever
                    version, in as long a time before: the `probation` seconds, or longer where it has run for longer.
                    On trial: one of a canary.
    words, probes   One is enough.
    errors          More than `max_error_rate` of 20 requests or more have failed, and significantly more than with the
                    other version.

"Significantly": Fisher's exact test, one-sided, of two shares (R. A. Fisher, Statistical Methods for Research Workers,
section 21.02): how probable so many failures with this version are, or more, if both versions fail equally often. It is
exact however few requests there are. Rejected: the normal approximation (z test), which is wrong by orders where few
requests have failed, and so for any small server. The test is repeated whenever a worker reports, some 20 times in a
probation: at a level of 0.001 for each, a version that is as good as the other is undone in 2 of 100 cases at the most
(Bonferroni), and only where it is above `max_error_rate`, too. Where nothing is known of the other version's requests,
as after an owner's death, nothing can be compared, and errors are no evidence.

What is kept is bounded: versions, texts and their lengths, deaths by number. What dead workers had counted is kept as
one sum. Whatever is beyond a bound is still counted. All of it is in memory: what an owner saw dies with it.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import NamedTuple

from confcast.owner.core.rules import Rules
from confcast.wire.messages import Counts

FEWEST_REQUESTS = 20
"""Of fewer requests no share is taken."""

LEVEL = 0.001
"""How improbable so many failures must be, if both versions failed equally often."""

_MOST_VERSIONS = 8
_MOST_TEXTS = 20
_MOST_DEATHS = 1000
_LONGEST_REASON = 500
_MOST_COUNTED = 2**53
"""A worker's count above that is no count; floats are exact up to it."""

_MOST_COMPARED = 2**32
"""Requests of one version that are compared; of more, a part: the loop has no time for all, nor a float the digits."""


class Requests(NamedTuple):
    """How many requests have ended on a version, how many of them had failed, and how many had named an entity."""

    answered: int = 0
    failed: int = 0
    entities: int = 0

    def plus(self, other: Requests) -> Requests:
        """Both together."""
        return Requests(*(mine + others for mine, others in zip(self, other, strict=True)))

    @property
    def share(self) -> float:
        """The share that had failed; 0.0 of none."""
        return self.failed / self.answered if self.answered else 0.0


@dataclass(slots=True)
class _Seen:
    """What was seen of one version.

    Attributes:
        spoken, died: The texts, the oldest first, by worker.
        probed: What the first probe said that said no; empty for none.
        counts: What the living workers have counted.
        ended: What those had counted that are gone, as one sum.
        began: When it was committed.
    """

    spoken: dict[int, str] = field(default_factory=dict)
    died: dict[int, str] = field(default_factory=dict)
    probed: str = ""
    counts: dict[int, Requests] = field(default_factory=dict)
    ended: Requests = field(default_factory=Requests)
    began: float = 0.0


class Evidence:
    """What was seen of the last versions. Pure, and not thread-safe: one core feeds it.

    Args:
        rules: How much is enough.

    Attributes:
        total: How often anything was said against any version, by kind: `death`, `unhealthy`, `probe`.

    Times are of the core's clock. The methods that note something return the text that a person should be told now;
    an empty one if that was told before, or is one of too many.
    """

    def __init__(self, rules: Rules) -> None:
        self.total: Counter[str] = Counter()
        self._rules = rules
        self._seen: dict[int, _Seen] = {}
        self._retained: frozenset[int] = frozenset()
        self._same: dict[int, int] = {}
        self._deaths: deque[tuple[float, int]] = deque(maxlen=_MOST_DEATHS)

    # ---- what is noted

    def begins(self, version: int, now: float) -> None:
        """This version is committed, or an owner begins with it: from now on deaths speak against it."""
        self._of(self._number(version)).began = now

    def died(self, version: int, pid: int, why: str, now: float, had: float | None = None) -> str:
        """A worker died of this version. `why`: as in ProcessGone; `had`: since when it ran it; None: not known."""
        version = self._number(version)
        self.total["death"] += 1
        self._deaths.append((now, version))
        when = " with" if had is None else f", {max(0.0, now - had):.0f} s after it had"
        return _add(self._of(version).died, pid, f"worker {pid} {cut(why)}{when} version {version}")

    def spoke(self, version: int, pid: int, reason: str, now: float) -> str:
        """A worker says that it is unhealthy with this version."""
        version = self._number(version)
        self.total["unhealthy"] += 1
        text = f"worker {pid} says that version {version} is unhealthy: {cut(reason) or 'no reason was given'}"
        return _add(self._of(version).spoken, pid, text)

    def probed(self, version: int, why: str, now: float) -> str:
        """A probe of the manager's says no to this version."""
        version = self._number(version)
        self.total["probe"] += 1
        seen, text = self._of(version), f"a probe says no to version {version}: {cut(why)}"
        first, seen.probed = not seen.probed, seen.probed or text
        return text if first else ""

    def counted(self, version: int, pid: int, counts: Counts) -> None:
        """What a worker has counted since it has this version. Less than it said before: it has begun anew."""
        answered = min(max(0, counts.answered), _MOST_COUNTED)
        failed, entities = (min(max(0, each), answered) for each in (counts.failed, counts.entities))
        seen = self._of(self._number(version))
        before = seen.counts.get(pid, Requests())
        if answered < before.answered:
            seen.ended = seen.ended.plus(before)
        seen.counts[pid] = Requests(answered, failed, entities)

    def left(self, pid: int) -> None:
        """This worker is gone; what it has counted stays, in the sum."""
        for seen in self._seen.values():
            if (counts := seen.counts.pop(pid, None)) is not None:
                seen.ended = seen.ended.plus(counts)

    def renumbered(self, former: int, version: int) -> None:
        """The content of the former version runs on under this number: what was, and is, seen of it is of both."""
        former = self._number(former)
        if former == version:
            return
        if former in self._seen:
            self._seen[version] = self._seen.pop(former)
        self._deaths = deque(((when, version if on == former else on) for when, on in self._deaths), _MOST_DEATHS)
        self._same = {old: version if new == former else new for old, new in self._same.items()} | {former: version}
        while len(self._same) > _MOST_VERSIONS:
            del self._same[min(self._same)]

    def retain(self, *versions: int) -> None:
        """Keep what was seen of these versions: those that run, are on trial, or would be put back."""
        self._retained = frozenset(versions)

    # ---- what speaks against a version

    def against(self, version: int, *, now: float, other: int) -> tuple[str, ...]:
        """Why a version on probation must be undone, in texts for a person; none: nothing speaks against it.

        Args:
            version: Its number.
            now: The time.
            other: The version with which its errors are compared: the one that would be put back.
        """
        seen = self._seen.get(self._number(version), _Seen())
        enough = self._are_too_many_deaths(self._number(version), seen.began, now)
        return (*(seen.died.values() if enough else ()), *self._said(seen), *self._too_many_errors(version, other))

    def against_trial(self, version: int, *, other: int) -> tuple[str, ...]:
        """The same for a version on trial, of which one death is enough. `other`: the committed version."""
        seen = self._seen.get(self._number(version), _Seen())
        return (*seen.died.values(), *self._said(seen), *self._too_many_errors(version, other))

    def found(self, version: int) -> tuple[str, ...]:
        """What was seen against this version so far, whether or not it is enough."""
        seen = self._seen.get(self._number(version), _Seen())
        failed = self.requests(version)
        errors = (f"{_told(failed)} failed with version {version}",) if failed.failed else ()
        return (*seen.died.values(), *self._said(seen), *errors)

    def requests(self, version: int) -> Requests:
        """The requests that have ended on this version, of all workers, those that are gone included."""
        seen = self._seen.get(self._number(version), _Seen())
        total = seen.ended
        for counts in seen.counts.values():
            total = total.plus(counts)
        return total

    def _are_too_many_deaths(self, version: int, began: float, now: float) -> bool:
        earliest = began - max(self._rules.probation, now - began)
        since = sum(on == version and when >= began for when, on in self._deaths)
        before = sum(earliest <= when < began for when, _ in self._deaths)
        return since >= self._rules.max_deaths and since > before

    def _said(self, seen: _Seen) -> tuple[str, ...]:
        return (*seen.spoken.values(), *((seen.probed,) if seen.probed else ()))

    def _too_many_errors(self, version: int, other: int) -> tuple[str, ...]:
        rate, mine, others = self._rules.max_error_rate, self.requests(version), self.requests(other)
        if rate is None or mine.answered < FEWEST_REQUESTS or mine.share <= rate or mine.share <= others.share:
            return ()
        if chance(mine, others) > LEVEL:
            return ()
        return (f"{_told(mine)} failed with version {version}, {_told(others)} with version {other}",)

    # ---- bounds

    def _number(self, version: int) -> int:
        return self._same.get(version, version)

    def _of(self, version: int) -> _Seen:
        """What was seen of this version; the oldest one that need not be kept is forgotten for a new one."""
        if (seen := self._seen.get(version)) is not None:
            return seen
        known = [each for each in self._seen if each not in self._retained]
        if known and len(self._seen) >= _MOST_VERSIONS:
            del self._seen[min(known)]
        return self._seen.setdefault(version, _Seen())


def chance(mine: Requests, others: Requests) -> float:
    """How probable it is that as many requests of mine fail as did, or more, if all fail equally often.

    Fisher's exact test, one-sided. 1.0 where there are no others.
    """
    mine, others = _part(mine), _part(others)
    total, failed = mine.answered + others.answered, mine.failed + others.failed
    if not mine.failed or not others.answered or mine.share <= others.share:
        return 1.0
    term = math.exp(
        _chosen(failed, mine.failed)
        + _chosen(total - failed, mine.answered - mine.failed)
        - _chosen(total, mine.answered)
    )
    found = 0.0
    for number in range(mine.failed, min(failed, mine.answered) + 1):  # above the most probable number: terms fall
        found += term
        if term <= found * 1e-9:
            break
        right = total - failed - mine.answered + number + 1
        term *= (failed - number) * (mine.answered - number) / ((number + 1) * right)
    return min(1.0, found)


def _part(requests: Requests) -> Requests:
    """No more of these requests than are compared, with the share that had failed."""
    parts = -(-requests.answered // _MOST_COMPARED)
    return requests if parts <= 1 else Requests(requests.answered // parts, requests.failed // parts)


def _chosen(total: int, some: int) -> float:
    """The logarithm of how many ways there are to choose some of the total."""
    return math.lgamma(total + 1) - math.lgamma(some + 1) - math.lgamma(total - some + 1)


def _add(texts: dict[int, str], pid: int, text: str) -> str:
    """Add the text, unless this worker has said something, or too many have; return it if it is new."""
    if pid in texts or len(texts) >= _MOST_TEXTS:
        return ""
    texts[pid] = text
    return text


def cut(words: str) -> str:
    """These words on one line, and not too long."""
    line = " ".join(words[: 2 * _LONGEST_REASON].split())
    return line if len(line) <= _LONGEST_REASON else f"{line[: _LONGEST_REASON - 1]}…"


def _told(requests: Requests) -> str:
    return f"{requests.failed} of {requests.answered} requests ({requests.share * 100:.3g} %)"
