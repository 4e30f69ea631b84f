"""Shared by the quick paths for plain YAML and plain TOML: what is not plain, and values by the way they are written.

A quick path takes a text apart by one regular expression, a line at a time and in C. The expression's last group,
`other`, has each line that is not understood to its end, so that nothing is passed over.

Guaranteed by each: what it returns is what the format's own parser makes of the text, in value, in type and in order;
whatever is not surely plain is `NOT_PLAIN`, and left to that parser. So only the parser refuses a document, and only
the parser gives positions and advice. Generators of documents compare the two (tests/unit/config/sources/formats).

Rejected: reading a document as far as it is plain (what follows may change what stands before: a second document of
YAML refuses the first), and one match for each line (slower by a third).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

NOT_PLAIN: Final = object()
"""Stands for a document that only the format's parser can read."""

NUMBER = r"-?(?:0|[1-9][0-9]{0,17}+)(?:\.[0-9]{1,17}+)?"
"""A number that every format reads alike: fewer digits than Python has a limit for, no exponent, nothing octal."""

QUOTES = "\"'"

_NUMBER = re.compile(NUMBER)


class NotPlain(Exception):
    """The document is not plain, or not surely so."""


def unquoted(written: str) -> str:
    """A text in quotes without them. The one escape that is plain is `''`, which is YAML's."""
    return written[1:-1].replace("''", "'") if written[0] == "'" else written[1:-1]


class Values(dict[str, Any]):
    """The values of a document, by the way they are written: those that recur, as most do, are worked out once.

    Args:
        words: What each word means that is no text.
        item: The pattern of a value in brackets.
    """

    def __init__(self, words: Mapping[str, Any], item: re.Pattern[str]) -> None:
        super().__init__(words)
        self._item = item

    def __missing__(self, written: str) -> Any:
        value: Any = written
        if written[0] in QUOTES:
            value = unquoted(written)
        elif written[0] in "-0123456789" and _NUMBER.fullmatch(written):
            value = float(written) if "." in written else int(written)
        self[written] = value
        return value

    def in_brackets(self, written: str) -> list[Any]:
        """The values of a list: a new list at each call, since no two keys ever hold the same one."""
        return [self[item] for item in self._item.findall(written)]
