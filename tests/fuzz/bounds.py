"""What no input may do to a target: raise what it does not declare, take over a second or too much memory, or leave
descriptors open.

A target is a file of `targets/` with `one(data)`. It catches what it declares, by type, and raises for everything else;
so any exception that comes out of it is a finding, and so are a second of a processor, memory, and descriptors.

Time is the processor's, of all threads: a busy machine makes no finding. What waits for ever is ended by whoever runs
the target: libFuzzer's timeout, or pytest's. Memory is what an input adds to the most that this process has ever had.
Rejected: `tracemalloc` (an input would take three times as long, and it does not see what a C library takes).
"""

from __future__ import annotations

import gc
import importlib
import logging
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol, cast

from tests.support.leaks import descriptors

FOLDER = Path(__file__).parent
TARGETS = sorted(path.stem for path in (FOLDER / "targets").glob("*.py"))
CORPUS = FOLDER / "corpus"

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where temporary folders are made: on a disk, an input would take many times as long."""

MOST_SECONDS = 1.0
"""Seconds of a processor that an input may take."""

TIMES_FLOOR = 3
"""And so many times what its target's floor takes: to read a value and to find its place may each parse the text."""

MOST_MIB = 64
"""What an input may add to the memory of a process."""

LONGEST = 4096
"""Bytes of an input."""

GROWN = 32 * 1024
"""Bytes that a part of a grown input is repeated up to: what takes the square of its length shows there, not before."""

_GROWS = 0xFD  # never the first byte of a text in UTF-8


class Finding(AssertionError):
    """An input took too long, or too much, or an invariant does not hold for it."""


class Target(Protocol):
    """What a file of `targets/` has; all but `one` is optional.

    Attributes:
        TOKENS: Pieces of valid inputs.
        FORM: What an input is, for `mutators.py`: "msgpack" or "json".
        GROWS: Whether inputs are texts, a part of which may be repeated (`grown`).
        floor: Does with an input what another library does with it, whose time is not confcast's: a Python parser's.
    """

    TOKENS: Iterable[bytes]
    FORM: str
    GROWS: bool

    def one(self, data: bytes) -> None:
        """Give these bytes to what is tested."""

    def seeds(self) -> Iterable[bytes]:
        """Valid inputs."""

    def floor(self, data: bytes) -> None:
        """Raises nothing."""


def load(name: str) -> Target:
    """The target of this name. From now on confcast logs nothing: to write a line takes longer than most inputs."""
    logging.getLogger("confcast").setLevel(logging.CRITICAL + 1)
    return cast("Target", importlib.import_module(f"tests.fuzz.targets.{name}"))


def inputs(name: str) -> Iterator[tuple[str, bytes]]:
    """The inputs that are kept of a target, each with a name: its seeds, and those of the folder."""
    for number, data in enumerate(getattr(load(name), "seeds", tuple)()):
        yield f"seed {number}", data
    for path in sorted((CORPUS / name).glob("*")):
        yield path.name, path.read_bytes()


def run(target: Target, data: bytes) -> float:
    """Give these bytes to the target, within the bounds. Returns the seconds of a processor that they took."""
    data = grown(data) if getattr(target, "GROWS", False) else data
    before, opened, took = _peak(), descriptors(), _seconds(target.one, data)
    if took > MOST_SECONDS and took > (most := _most_seconds(target, data)):
        took = min(took, *(_seconds(target.one, data) for _ in range(2)))  # others share the processor's caches
        if took > most:
            raise Finding(f"{len(data)} bytes took {took:.2f} s of a processor: {most:.2f} s are allowed")
    if (more := _peak() - before) > MOST_MIB:
        raise Finding(f"{len(data)} bytes took {more:.0f} MiB: {MOST_MIB} are allowed")
    if _leaves_descriptors(target, data, opened):
        raise Finding(f"{len(data)} bytes leave descriptors open: {descriptors()} are, of {opened} before")
    return took


def _leaves_descriptors(target: Target, data: bytes, before: int) -> bool:
    """Whether more are open by each time that it gets this input; what is opened once, for all inputs, may stay."""
    if descriptors() <= before:
        return False
    for _ in range(2):
        gc.collect()  # of what refers to itself, the end comes later
        before = descriptors()
        target.one(data)
    gc.collect()
    return descriptors() > before


def _most_seconds(target: Target, data: bytes) -> float:
    floor = getattr(target, "floor", None)
    return MOST_SECONDS + (TIMES_FLOOR * _seconds(floor, data) if floor is not None else 0.0)


def _seconds(give: Callable[[bytes], None], data: bytes) -> float:
    begun = time.process_time()
    give(data)
    return time.process_time() - begun


def grown(data: bytes) -> bytes:
    """The text that an input stands for: behind the mark stands where, and how long, a part is that is repeated."""
    if data[:1] != bytes([_GROWS]) or len(data) < 5:
        return data
    text, size = data[4:], data[3] % 64 + 1
    begin = int.from_bytes(data[1:3]) % len(text)
    return text[:begin] + text[begin : begin + size] * (GROWN // size) + text[begin + size :]


def with_growth(data: bytes, begin: int, size: int) -> bytes:
    """The input in which this part is repeated."""
    return bytes([_GROWS]) + begin.to_bytes(2) + bytes([size - 1]) + data


def without_growth(data: bytes) -> bytes:
    """The text of an input without what says that a part of it is repeated."""
    return data[4:] if data[:1] == bytes([_GROWS]) else data


def _peak() -> float:
    """MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux


class Cut:
    """Takes an input apart, from its beginning."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def byte(self) -> int:
        """The next byte; 0 at the end."""
        found = self._data[self._at : self._at + 1]
        self._at += 1
        return found[0] if found else 0

    def chunk(self) -> bytes:
        """As many bytes as the next two say, or fewer."""
        size = self.byte() << 8 | self.byte()
        found = self._data[self._at : self._at + size]
        self._at += size
        return found

    def rest(self) -> bytes:
        """All that is left."""
        found = self._data[self._at :]
        self._at = len(self._data)
        return found

    def __bool__(self) -> bool:
        return self._at < len(self._data)


def joined(*chunks: bytes) -> bytes:
    """What `Cut.chunk` gives back one by one."""
    return b"".join(len(chunk).to_bytes(2) + chunk for chunk in chunks)
