"""What a load leaves as it runs: values that need a restart, in a server that has started already.

Guaranteed: the first load of a server's start takes every value up; each later one keeps what runs, or is refused, as
the option `needs_restart` says. A server that starts on what is held, or on what an undo has put back, runs with the
values of that: its first load takes none up, so that what was undone is known again by its digest. A kept version is
put back only if it has the values that run; at a boot nothing runs, so then the values of that version are taken up,
and those of the sources wait.

Rejected: the digest of what the sources gave before values were kept, beside the other. It would find what was undone,
too; but a load with another content would then take values up in a server that has started without them.
"""

from __future__ import annotations

from typing import Any

from confcast.config import restart
from confcast.config.candidate import Candidate, Reading
from confcast.config.loader import ConfigLoader
from confcast.config.schema.key_path import dotted
from confcast.errors import ConfigError, Problem
from confcast.owner.loop.shown_changes import shown_changes
from confcast.wire.messages import Change

_REFUSED_TO_CHANGE = "so a reload may not change it (needs_restart='refuse'): start the server anew, or put it back"


class RunningValues:
    """Keeps them. For the thread that loads, and for the loop's own while no load runs.

    Args:
        loader: The loader.
        refuses: Whether a change of such a value is refused.
        takes_up: Whether no value runs yet: the server has just started.
    """

    def __init__(self, loader: ConfigLoader[Any], *, refuses: bool, takes_up: bool) -> None:
        self._loader, self._refuses, self._takes_up = loader, refuses, takes_up

    def run(self) -> None:
        """From now on values run: a load was valid, or the server starts on what is held, or was put back."""
        self._takes_up = False

    def kept(
        self, candidate: Candidate[Any], reading: Reading, running: Any, values: bytes
    ) -> tuple[Candidate[Any], tuple[Change, ...]]:
        """The candidate with what runs where a restart is needed, and what waits for one. Raises ConfigError.

        Args:
            candidate: What the sources give.
            reading: What it was made of.
            running: The configuration that runs.
            values: What the sources gave to that; empty if it is not known.
        """
        codec = self._loader._codec
        if self._takes_up:
            return candidate, ()
        if self._refuses and (kept := restart.kept(codec, running, candidate.config)):
            raise ConfigError(restart.refusals(kept, candidate._merged, _REFUSED_TO_CHANGE))
        found, kept = self._loader._keeping(candidate, reading, running, values)
        return found, shown_changes(restart.pending(codec, kept, found.config, candidate.config)) if kept else ()

    def faults_of(self, version: int, config: Any, running: Any) -> tuple[Problem, ...]:
        """Why a version that ran in a server before this one can't be put back into this one; empty if it can be."""
        why = f"version {version} has another value than the one that runs: start the server anew with its sources"
        kept = restart.kept(self._loader._codec, running, config)
        return tuple(Problem(dotted(each.new.key), f"{restart.needs(each.new.mark)}, and {why}") for each in kept)
