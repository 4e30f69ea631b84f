"""Resolves `%(name)s` in the values of an INI file by configparser's `BasicInterpolation`.

Guaranteed: a document of 16 MiB ends in bounded time and memory. Ten keys that each stand for ten others are 10^10
texts, and each `%` in a value makes `BasicInterpolation` copy the rest of the value: so the work is counted before.

Each value knows the keys that it was made of: what was made of a secret is a secret. A value of `[DEFAULT]` may refer
to a key that only some sections have; where it can't be resolved, it is at fault only if the section wants it.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable, Iterator

from confcast.config.sources.formats.common import MAX_BYTES

MOST_WORK = 200_000_000
"""Characters that `BasicInterpolation` may copy for one document, where each step counts as some: a second's work."""

_STEP = 1000
_REFERENCE = re.compile(r"%%|%\(([^)]+)\)s")
_DEPTH = configparser.MAX_INTERPOLATION_DEPTH
_INTERPOLATION = configparser.BasicInterpolation()


class Text(str):
    """A value that is not just what stands at its key.

    Attributes:
        inherited: Whether the section has it from `[DEFAULT]`.
        for_all: Whether all sections that inherit it are read, so that one of them has to know it.
        made_of: The keys, of the same section or of `[DEFAULT]`, whose values are in it.
        fault: Why it can't be resolved, as the predicate of a sentence about it; empty if it can.
    """

    __slots__ = ("fault", "for_all", "inherited", "made_of")

    inherited: bool
    for_all: bool
    made_of: tuple[str, ...]
    fault: str

    def __new__(
        cls,
        text: str,
        *,
        inherited: bool = False,
        for_all: bool = False,
        made_of: Iterable[str] = (),
        fault: str = "",
    ) -> Text:
        """Make the text `text`, of type Text."""
        made = super().__new__(cls, text)
        made.inherited, made.for_all, made.made_of, made.fault = inherited, for_all, tuple(made_of), fault
        return made


class Unresolvable(Exception):
    """A value can't be resolved. The message is the predicate of a sentence about it, and quotes nothing."""


class Interpolation:
    """Resolves the values of one section.

    Args:
        parser: The parser that has read them.
        section: The section.
        values: The values of the section as they are written, with those of `[DEFAULT]`.
        work: What was done for the sections before.
    """

    def __init__(self, parser: configparser.RawConfigParser, section: str, values: dict[str, str], work: Work) -> None:
        self._parser, self._section, self._values, self._work = parser, section, values, work
        self._counted: dict[tuple[str, int], Work] = {}

    def resolved(self, key: str) -> tuple[str, tuple[str, ...]]:
        """The value of a key, resolved, and the keys that it was made of. Raises Unresolvable."""
        if not self._work.is_too_much:  # to count it for each of a thousand sections is work, too
            self._work.add(self._count(key, 1))
        if self._work.is_too_much:
            raise Unresolvable("stands for too much text, by the keys that it refers to")
        try:
            text = _INTERPOLATION.before_get(self._parser, self._section, key, self._values[key], self._values)
        except configparser.InterpolationMissingOptionError:
            raise Unresolvable("refers by %(…)s to a key that neither its section nor [DEFAULT] has") from None
        except configparser.InterpolationDepthError:
            raise Unresolvable(f"refers to itself by %(…)s, or through more than {_DEPTH} keys") from None
        except configparser.InterpolationSyntaxError:
            raise Unresolvable("has a % that begins no %(name)s: write %% for a percent sign") from None
        return text, self._made_of(key)

    def _count(self, key: str, depth: int) -> Work:
        """The work for a value, counted once for each depth at which it is referred to."""
        if (key, depth) in self._counted:
            return self._counted[key, depth]
        text = self._values.get(key) if depth <= _DEPTH else None
        counted = self._counted[key, depth] = Work()
        if text is not None:
            counted.steps, counted.length = _STEP + len(text) * (1 + text.count("%")), len(text)
            for name in _names(text) if counted.steps <= MOST_WORK else ():  # to look for them is work, too
                counted.add(self._count(name, depth + 1))
        return counted

    def _made_of(self, key: str) -> tuple[str, ...]:
        """The keys to which the references of a value lead."""
        found, left = dict[str, None](), [key]
        while left:
            for name in _names(self._values[left.pop()]):
                if name not in found:
                    found[name] = None
                    left.append(name)
        return tuple(found)


class Work:
    """How much work it is to resolve values.

    Attributes:
        steps: The characters that are copied, each step counted as some.
        length: The characters of the result at the most.
    """

    def __init__(self) -> None:
        self.steps = self.length = 0

    @property
    def is_too_much(self) -> bool:
        """Whether no more can be done for one document."""
        return self.steps > MOST_WORK or self.length > MAX_BYTES

    def add(self, other: Work) -> None:
        """Count other work, too."""
        self.steps, self.length = self.steps + other.steps, self.length + other.length


def _names(text: str) -> Iterator[str]:
    """The keys that a value refers to, up to the first % that is at fault: `BasicInterpolation` ends there.

    To look behind it takes the square of the length if thousands of `%(` have no end.
    """
    at = text.find("%")
    while at >= 0 and (found := _REFERENCE.match(text, at)):
        if found[1]:
            yield found[1].lower()
        at = text.find("%", found.end())
