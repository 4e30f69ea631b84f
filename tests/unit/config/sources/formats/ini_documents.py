"""INI documents by chance: sections, keys, values of several lines, comments, defaults, references, and mistakes."""

from __future__ import annotations

import random

_SECTIONS = ("a", "B", "a.b", "a:b", "a.b.c", "DEFAULT", "x y", "[odd]", "é", "a]b", "#no", "")
_KEYS = ("k", "K", "Max-Age", "a b", "host", "name", "é", "a.b", "k#1", "[x", "")
_DELIMITERS = ("=", ":", " = ", " : ", "=  ", "\t=\t", "==", ":=", " ")
_VALUES = (
    *("1", "yes", "a, b", "x ; y", "x # y", '"q"', "k = v", "", "  ", "[1, 2]", '{"a": 1}', "é\x85x", "\x00", "a\x0cb"),
    *("%%", "%%(k)s", "%(k)s", "%(host)s/%(k)s", "%", "%(nix)s", "%(name)s", "%(K)s", "%(k", "100%"),
)
_FAIR_VALUES = _VALUES[:16]
_INDENTS = ("", "", "", " ", "    ", "\t")


class _Writer:
    """Writes the lines of one document, with mistakes or hardly any."""

    def __init__(self, chance: random.Random, *, mistakes: bool) -> None:
        self._chance, self._mistakes = chance, mistakes
        self._keys: list[str] = []
        self._left = list(_SECTIONS[:9])

    def header(self) -> str:
        if self._mistakes or not self._left:
            return f"[{self._chance.choice(_SECTIONS if self._mistakes else ('DEFAULT',))}]"
        self._left.remove(name := self._chance.choice(self._left))
        return f"[{name}]"

    def line(self) -> str:
        kind, indent = self._chance.random(), self._chance.choice(_INDENTS)
        if kind < 0.15:
            return f"{indent}{self.header()}{self._chance.choice(('', '', ' # x'))}"
        if kind < 0.25:
            return indent + self._chance.choice(("# c", ";c", "", "   ", "#"))
        if kind < 0.4:
            return f"   {indent}{self._value()}" if self._keys else ""
        return f"{indent}{self._key()}{self._chance.choice(_DELIMITERS[: 9 if self._mistakes else 8])}{self._value()}"

    def _key(self) -> str:
        key = self._chance.choice(_KEYS)
        if not self._mistakes:
            key = f"{key if '[' not in key else ''}{len(self._keys)}"
        self._keys.append(key)
        return key

    def _value(self) -> str:
        if self._keys and self._chance.random() < 0.2:
            return f"x%({self._chance.choice(self._keys)})s"
        return self._chance.choice(_VALUES if self._mistakes else _FAIR_VALUES)


def document(seed: int) -> str:
    """The document of this number; the same at each call. A third of them, or so, is refused."""
    chance = random.Random(seed)
    writer = _Writer(chance, mistakes=seed % 3 == 0)
    start = [] if chance.random() < 0.05 else [writer.header()]
    lines = [*start, *(writer.line() for _ in range(chance.randrange(12)))]
    return chance.choice(("\n", "\n", "\n", "\r\n")).join(lines) + chance.choice(("\n", ""))
