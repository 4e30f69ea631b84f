"""What a source that follows a server, and the config owner, tell each other (`Source.follow`).

The owner runs `follow` in one asyncio loop of its own, in one thread for all sources. The source calls `changed` when
`read()` would give something else; the owner then loads, and puts what came of it into `outcomes`.

Rejected: a thread for each source (ten sources that wait would be ten stacks), and asyncio as the owner's main loop
(see `owner/loop/event_loop.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    import asyncio

MOST_OUTCOMES = 64
"""How many outcomes wait for a source; of more, the oldest are dropped."""

OutcomeState = Literal["applied", "good", "partial", "refused", "held", "undone"]


def _queue() -> asyncio.Queue[Outcome]:
    import asyncio  # a process that only makes a source, or reads one, needs none

    return asyncio.Queue(MOST_OUTCOMES)


class Outcome(msgspec.Struct, frozen=True):
    """What came of one content of a source on this host.

    Attributes:
        fingerprint: The content's, as the source's layer had it in that load.
        state: `applied`: all workers have it, and it may still be taken back. `good`: its trial, probation and window
            are over. `partial`: it is committed, and some workers have not got it. `refused`: what ran still runs.
            `held`: this host is held by a person, so it was not loaded. `undone`: it ran, and was taken back.
        version: The version that has it; of what was not applied, the one that runs instead.
        reason: Why it was not applied, for a person, without secrets; empty if it was.
        good_in: Seconds until it can be good, of `applied`; 0.0 if that is not known.
    """

    fingerprint: bytes
    state: OutcomeState
    version: int = 0
    reason: str = ""
    good_in: float = 0.0


@dataclass(frozen=True)
class Host:
    """The config owner, as a source's `follow` sees it. For that coroutine's loop; `changed` is for any thread.

    Attributes:
        id: Names this owner among those of all hosts: the host's name and eight hexadecimal digits. An owner that is
            started anew has the same; with `state_dir`, also the owner of a server that is.
        name: The host's name, for people.
        labels: As given to the manager.
        state_dir: A folder (mode 0700) that outlives the owner; None if there is none.
        changed: To be called when `read()` would give something else than before.
        outcomes: What came of contents, oldest first, beginning with the last one before `follow` was called. Of those
            that nobody takes, the newest 64 are kept.
    """

    id: str
    name: str
    labels: Mapping[str, str]
    state_dir: Path | None
    changed: Callable[[], None]
    outcomes: asyncio.Queue[Outcome] = field(default_factory=_queue)
