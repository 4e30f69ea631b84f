"""Documents of TOML by chance: mostly plain ones, with whatever may be mistaken for plain in some of them.

A seed gives the same document in every run. Three kinds, as of yaml_documents.py: written as a person would, the same
damaged, and pieces in any order.
"""

from __future__ import annotations

import random

from tests.unit.config.sources.formats.yaml_documents import damaged

KEYS = ("a", "b", "c", "host", "max-size", "a_b", "1", "-", '"a b"', "'c.d'", '"a"', "'b'", "Gr")
ODD_KEYS = ("a.b", "a . b", '"\\t"', "é", '""', "''", "a b", '"é"', '"""a"""', "1.5", "=", "#", '"a', "a'", "+", "\x00")
VALUES = (
    *("1", "0", "-7", "8080", "1.5", "-0.25", "true", "false", '"text"', "'raw'", '""', "''", "[]"),
    *("[1, 2.5, true]",),
)
ODD_VALUES = (
    *("+1", "-0", "-0.0", "01", "1_000", "0x1F", "0b1", "1.", ".5", "1e3", "1.5e3", "1e400", "inf", "-nan", "True"),
    *("yes", "9" * 18, "9" * 19, "9" * 4400, "1" * 400 + ".0", "0." + "1" * 30, "1979-05-27"),
    *("1979-05-27T07:32:00Z", "07:32:00", '"\\n"', '"\\q"', '"\\u00e9"', '"a', "'a", '"""a"""', "'''a'''"),
    *('"""a\nb"""', '""""', "'''", '"a" "b"', "'a'b", '"a"b', '"a\tb"', "'a\tb'", '"a\x00"', "'a\x7f'"),
    *('"é\x85\u2028\ufeff"', "a", "{}", "{a = 1}", "{ a = 1, b.c = 2 }", "", "1 2", "[1,]", "[,]", "[1 2]"),
    *("[1,\n2]", "[[1], [2]]", "[{a = 1}]", "[\"a\", 'b']", "[ 1 , 2 ]", "[\t1\t]", "[1] # x", "[1]x", "[1", "1]"),
    *("['a, ]', \"b]\"]", "[1.5.2]", "[1e3]", "[1_0]", "[ ]", "1#x", '"a"#x', "'#'", "1 # x", "1\t# \t", "1 # \x01"),
)
HEADERS = (
    *("[a]", "[b]", "[a.b]", "[a.c]", "[a.b.c]", "[b.a]", "[[c]]", "[[a.d]]", "[[c.e]]", "[c.f]", '["a b".x]'),
    *("['c.d']",),
)
ODD_HEADERS = (
    *("[ a ]", "[a . b]", "[a]x", "[a] # x", "[a]#x", "[ [a]]", "[[a] ]", "[[a]", "[a]]", "[]", "[[]]", "[a.]"),
    *("[.a]", "[a..b]", "[[a]]", "[[b]]", "[[a.b]]", "[host]", "[[host]]", "[host.x]", "[é]", '["\\t"]', "[a b]"),
    *("[1.2]", "[c]", "[[c.f]]", "[a.d]", "[" + ".".join("a" * 19) + "]", "[" + ".".join("a" * 21) + "]"),
    *("[" + ".".join("a" * 101) + "]", "\t[a.z]\t", "['']"),
)
PIECES = (
    *("a", "b.c", '"d"', " = ", "=", ".", ",", "[", "]", "[[", "]]", "{", "}", "\n", "\r\n", "\r", "# x", '"""'),
    *("'''", '"', "'", "\\", "1", "-0", "1_0", "0x1F", "1e5", "inf", "true", "é", "1979-05-27", "\t", " ", "\x00"),
    *("\x7f", "\ufeff", "a = 1\n", "[a]\n", "[[a.b]]\n", "[a.b]\n", "[[a]]\n", "b = []\n", "[b]\n", "a.b = 1\n"),
    *("a = {}\n",),
)


def document(seed: int) -> str:
    """The document of a seed."""
    chance = random.Random(seed)
    kind = chance.random()
    if kind < 0.2:
        return "".join(chance.choices(PIECES, k=chance.randrange(1, 25)))
    text = _written(chance, chance.choice((0.0, 0.02, 0.1)))
    return text if kind < 0.7 else damaged(text, PIECES, chance)


def _written(chance: random.Random, odd: float) -> str:
    def one_of(common: tuple[str, ...], doubtful: tuple[str, ...]) -> str:
        return chance.choice(doubtful if chance.random() < odd else common)

    lines = []
    for section in range(chance.randrange(1, 5)):
        if section or chance.random() < 0.5:
            lines.append(one_of(HEADERS, ODD_HEADERS) + one_of(("", "", " # x"), ("\t", "  #", "x")))
        for common in chance.sample(KEYS, k=chance.randrange(0, 4)):
            key = one_of((common,), ODD_KEYS)
            equals = one_of((" = ",), ("=", "\t=\t", " =", " = \n", " "))
            lines.append(
                key + equals + one_of(VALUES, ODD_VALUES) + one_of(("", "", " # x"), ("#x", "\t", " x", "# \x01"))
            )
        if chance.random() < 0.2:
            lines.append(one_of(("", "# y", "  "), ("\t# x", "x", "# \x01", "\x00", "# é\u2028")))
    breaks = one_of(("\n",), ("\r\n", "\r", "\n\n"))
    return breaks.join(lines) + chance.choice(("", "\n", "\n\n"))
