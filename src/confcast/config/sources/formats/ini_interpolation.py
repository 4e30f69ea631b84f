"""Resolves `%(name)s` in the values of an INI file by configparser's `BasicInterpolation`.

Guaranteed: a document of 16 MiB ends in bounded time and memory. Ten keys that each stand for ten others are 10^10
texts, and each `%` in a value makes `BasicInterpolation` copy the rest of the value: so the work is counted before.

Each value knows the keys that it was made of: what was made of a secret is a secret. A value of `[DEFAULT]` may refer
to a key that only some sections have; where it can't be resolved, it is at fault only if the section wants it.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable, Iterator, Mapping

from confcast.config.sources.formats.common import MAX_BYTES

MOST_WORK = 200_000_000
"""Characters that `BasicInterpolation` may copy for one document, where each step counts as some: a second's work."""

_STEP = 200
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
    """Resolves the values of one document.

    Args:
        parser: The parser that has read it.
    """

    def __init__(self, parser: configparser.RawConfigParser) -> None:
        self._parser = parser
        self._work = self._length = 0

    def resolved(self, section: str, key: str, values: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
        """A value of a section, resolved, and the keys that it was made of. Raises Unresolvable.

        Args:
            section: The name of the section.
            key: The key.
            values: The values of the section as they are written, with those of `[DEFAULT]`.
        """
        reach = _Reach(values)
        work, length = reach.of(key)
        self._work, self._length = self._work + work, self._length + length
        if self._work > MOST_WORK or self._length > MAX_BYTES:
            raise Unresolvable("stands for too much text, by the keys that it refers to")
        try:
            text = _INTERPOLATION.before_get(self._parser, section, key, values[key], dict(values))
        except configparser.InterpolationMissingOptionError:
            raise Unresolvable("refers by %(…)s to a key that neither its section nor [DEFAULT] has") from None
        except configparser.InterpolationDepthError:
            raise Unresolvable(f"refers to itself by %(…)s, or through more than {_DEPTH} keys") from None
        except configparser.InterpolationSyntaxError:
            raise Unresolvable("has a % that begins no %(name)s: write %% for a percent sign") from None
        return text, tuple(reach.keys - {key})


class _Reach:
    """How far the references of a value reach.

    Attributes:
        keys: The keys that they have led to.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._known: dict[tuple[str, int], tuple[int, int]] = {}
        self.keys: set[str] = set()

    def of(self, key: str, depth: int = 1) -> tuple[int, int]:
        """The work for a value, and the characters of the result at the most."""
        if (key, depth) not in self._known:
            self._known[key, depth] = self._counted(key, depth)
        return self._known[key, depth]

    def _counted(self, key: str, depth: int) -> tuple[int, int]:
        text = self._values.get(key)
        if text is None or depth > _DEPTH:
            return 0, 0
        self.keys.add(key)
        work, length = _STEP + len(text) * (1 + text.count("%")), len(text)
        for name in _names(text):
            more, longer = self.of(name, depth + 1)
            work, length = work + more, length + longer
        return work, length


def _names(text: str) -> Iterator[str]:
    return (found[1].lower() for found in _REFERENCE.finditer(text) if found[1])
