"""Documents of YAML by chance: mostly plain ones, with whatever may be mistaken for plain in some of them.

A seed gives the same document in every run. Three kinds: written as a person would, with a doubtful spelling here and
there; the same with a few characters damaged, as an edit in progress is; and lines of pieces in any order.
"""

from __future__ import annotations

import random

KEYS = ("a", "b", "c", "host", "max-size", "log.level", "a_b", "a/b", "Größe", "x1", "_")
ODD_KEYS = (
    *("yes", "no", "on", "off", "y", "n", "null", "true", "NO", "nO", "On", "Null", "~", "1", "010", "1.5", "-1"),
    *("0x1F", "2024-01-02", "12:30", "<<", "=", '"q"', "'q'", '"on"', "'1'", '""', "''", '"a b"', "a b", "a:b"),
    *('"a: b"', "&x a", "? a", "!!str a", "*x", "[a]", "{a: 1}", '"\\t"', "'it''s'", "k" * 900, "k" * 1030),
    *('"' + "k" * 1030 + '"', "-", "#", "a ", "a\t", "é", "\u2028", "\xa0", "\x85a", "\ufeffa", "-a", "a-", ".a"),
    *("a.", "a#b", "<<a", "@a", "%a", "`a"),
)
VALUES = (
    *("1", "0", "-7", "8080", "1.5", "0.25", "-0.0", "true", "false", "text", "two words", "10.0.0.1"),
    *("10.0.0.1:80", "/var/log", "https://example.com:8080/x?y=z&a=b", "30s", "512MB", '"quoted"', "'single'", '""'),
    *("[]", "{}", "[a, b]", "[1, 2.5, true]", "['x, y', \"z\"]", "1.2.3", "10.0.0.0/8", "Ünï", "a, b", "a-b", "b:c"),
    *("null", "yes", "{a: 1, b: x}", "{'a b': ~, c: 1.5}"),
)
ODD_VALUES = (
    *("y", "n", "Y", "N", "on", "Off", "oN", "NULL", "nUll", "~", "", "yEs", "TRUE", "tRUE", "Yes!", "no ", "None"),
    *("none", "010", "0o17", "0x1F", "0b11", "-0", "+1", "1_000", "0_1", "08", "00", "1:30", "12:30:45"),
    *("190:20:30.15", "1:30.5", "1e3", "1.0e+3", "1.5e-3", "1.e+3", "1.", ".5", "-.5", ".inf", "-.INF", ".nan"),
    *("1e400", "1.0e+400", "1.5.2", "1..2", "9" * 18, "9" * 19, "9" * 40, "9" * 4400, "0." + "1" * 17),
    *("0." + "1" * 40, "1" + "0" * 400 + ".0", "12a", "1e", "1E5", "2024-01-02", "2024-1-2 3:4:5", "2024-99-99"),
    *("2001-12-14t21:59:43.10-05:00", "1-2", "1/2", "0.1.2", "1.2.3.4.5", "&x a", "*x", "&x", "!!str 1", "!own a"),
    *("!!int a", "| ", "|", ">", ">-", "|2", "@x", "`x", "%x", "?", "? a", "-", "- a", "a: b", "a:", "a :b"),
    *("a # b", "a #b", "a#b", "#a", "a  b", "a\tb", "\ta", "a\t", "a 'b'", "'a' b", "'a'b", '"a"#b', "'it''s'"),
    *("'''", "'", '"', '"\\n"', '"\\x41"', '"a', "'a", '"a" "b"', '"a": b', "'a': b", '"#"', "' #x'", '"\t"'),
    *("[a, b", "a]", "[a b]", "[a: b]", "[a,b]", "[,]", "[a,]", "[a,,b]", "[ ]", "[ a , b ]", "[[a]]", "[{a: 1}]"),
    *("[a]b", "[1.2.3.4, 1.5.2]", "[30s, 1e3]", "[10.0.0.1:80]", "[~]", "[null, Yes]", "['a'b]", "[a #b]", "[a]#"),
    *("[a] #", "[-a]", "{a: 1}", "{ }", "{a}", "{a: b: c}", "{a:1}", "{a: 1, a: 2}", "{a: 1,}", "{a : 1}"),
    *("{no: 1}", '{"a": 1}', '{"a":1}', "{a: [b]}", "{a: b c}", "{a: 1, }", "{a: }", "{ a:  1 , b: 'x, y}' }"),
    *("{a: 1}}", "{a: 1} x", "{a: 1.2.3.4/8}", "{a: b:c}", "{? a}", "{a: 'b'c}", "{1: a}", "{a: 2024-01-02}", "{"),
    *("}", "a{b}", "${A}", "{{ a }}", "a,", ",a", "a;b", "(a)", "a*b", "*", "&", "!", "!a", "=", "<<", "é"),
    *("a\u2028b", "a\x85b", "a\xa0b", "\xa0a", "\ufeffa", "a\ufeff", "\x01", "a\x00", "\x7f", "😀", "\ud7ff"),
    *("\ufffe", "---", "...", "--- a", "a ---", "a - b", "a ? b", "a -", "a ?", "a,: b", "a::b", "::", ":", ": a"),
    *(":a", "a:b:c", "\\", "a\\b", "1 2", "1 # x", "1#x", "1 a", "true x", "no no", "1,5", "1%", "30 s", "30sec5"),
    *("1-a", "3d20h", "\u0661", "\uff11", "1\u0661"),
)
BETWEEN = (
    *("", "   ", "# x: y", "  # - x", "\t", "\t# x", "# \t", "#", "      # deep", "---", "...", "%YAML 1.1", "x"),
    *("# é\u2028", "# \x01"),
)
STARTS = (
    *("", "---\n", "# top\n---\n", "\n---\n", "--- \n", "---\r\n", "--- # x\n", "\ufeff", "%YAML 1.1\n---\n"),
    *("# x\n", "\t\n", "...\n---\n"),
)
PIECES = (
    *("a", "b: ", "c:", ":", " ", "  ", "    ", "\n", "\n  ", "\n- ", "- ", "-", '"', "'", '"x"', "'y'", "# ", "#"),
    *("[", "]", "{", "}", ", ", ",", "1", "0", ".", "-1", "1.5", "no", "true", "null", "~", "&a ", "*a", "!!str "),
    *("|\n", ">\n", "? ", "---\n", "\t", "\r", "\r\n", "é", "\x85", "e", "x", "_", "+", "=", "<<: ", "%", "@", "`"),
    *("\\", "/", "\ufeff", "\x00"),
)


def document(seed: int) -> str:
    """The document of a seed."""
    chance = random.Random(seed)
    kind = chance.random()
    if kind < 0.15:
        return "".join(chance.choices(PIECES, k=chance.randrange(1, 30)))
    text = _Writer(chance).document()
    return text if kind < 0.6 else damaged(text, PIECES, chance)


class _Writer:
    """Writes one document."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._odd = chance.choice((0.0, 0.0, 0.02, 0.1))  # how often something doubtful is written
        self._lines: list[str] = []

    def document(self) -> str:
        """A whole document, with what may stand before it and behind it."""
        start = self._chance.choice(STARTS) if self._is_odd() else self._chance.choice(STARTS[:3])
        self._table("", self._chance.randrange(1, 5), self._chance.randrange(4))
        breaks = self._chance.choice(("\r\n", "\r", "\n\n")) if self._is_odd() else "\n"
        return start + breaks.join(self._lines) + self._chance.choice(("", "\n", "\n\n", "\n  ", "\n# end"))

    def _is_odd(self) -> bool:
        return self._chance.random() < self._odd

    def _one_of(self, common: tuple[str, ...], odd: tuple[str, ...]) -> str:
        return self._chance.choice(odd if self._is_odd() else common)

    def _table(self, indent: str, entries: int, levels: int, first: str | None = None) -> None:
        keys = self._chance.sample(KEYS, k=entries)
        for index, common in enumerate(keys):
            key = self._chance.choice((*ODD_KEYS, *keys)) if self._is_odd() else common
            lead = first if index == 0 and first is not None else indent
            if self._is_odd():
                lead += self._chance.choice((" ", "  ", "\t"))
            self._between()
            if levels and self._chance.random() < 0.4:
                self._nested(f"{lead}{key}:", indent, levels - 1)
            else:
                colon = self._chance.choice((":", ": \t", ":  ", " : ")) if self._is_odd() else ": "
                self._lines.append(f"{lead}{key}{colon}{self._value()}")

    def _nested(self, line: str, indent: str, levels: int) -> None:
        self._lines.append(line + self._comment())
        if self._is_odd() or self._chance.random() < 0.1:
            return  # null
        deeper = indent + " " * self._chance.choice((1, 2, 2, 2, 4))
        if self._chance.random() < 0.6:
            self._table(deeper, self._chance.randrange(1, 4), levels)
        else:
            self._list(self._chance.choice((indent, deeper)), levels)

    def _list(self, indent: str, levels: int) -> None:
        for _ in range(self._chance.randrange(1, 4)):
            self._between()
            dash = self._chance.choice(("-  ", "-\t", "-", "- - ", "?  ")) if self._is_odd() else "- "
            if levels and self._chance.random() < 0.5:
                lead = indent + dash
                self._table(" " * len(lead), self._chance.randrange(1, 3), levels - 1, lead)
            else:
                self._lines.append(f"{indent}{dash}{self._value()}")

    def _value(self) -> str:
        return self._one_of(VALUES, ODD_VALUES) + self._comment()

    def _comment(self) -> str:
        if self._is_odd():
            return self._chance.choice(("#x", "\t# x", " #", " # a: 'b", "  ", "\t", " # \t", " # é"))
        return self._chance.choice(("", "", "", "", " # note", "  "))

    def _between(self) -> None:
        if self._chance.random() < 0.1:
            self._lines.append(self._one_of(BETWEEN[:4], BETWEEN))


def damaged(text: str, pieces: tuple[str, ...], chance: random.Random) -> str:
    """The text with a few of its characters or lines gone, doubled, moved or replaced, as an edit may leave it."""
    for _ in range(chance.randrange(1, 4)):
        if chance.random() < 0.5:
            at = chance.randrange(len(text) + 1)
            text = text[:at] + chance.choice((*pieces, "")) + text[at + chance.randrange(2) :]
        else:
            text = "\n".join(_with_a_line_damaged(text.split("\n"), chance))
    return text


def _with_a_line_damaged(lines: list[str], chance: random.Random) -> list[str]:
    index = chance.randrange(len(lines))
    kind = chance.choice(("double", "move", "cut", "indent", "indent", "dedent", "dedent"))
    if kind == "cut":
        return lines[: index + 1]
    line = lines.pop(index)
    if kind == "move":
        index = chance.randrange(len(lines) + 1)
    elif kind == "indent":
        line = chance.choice((" ", "  ")) + line
    elif kind == "dedent":
        line = line.removeprefix(" ")
    return [*lines[:index], *([line] * (1 + (kind == "double"))), *lines[index:]]
