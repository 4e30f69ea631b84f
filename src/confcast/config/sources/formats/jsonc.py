"""Parses JSON with comments (`// …` and `/* … */`) and trailing commas, as editors keep their settings.

Comments and trailing commas become blanks, and the JSON reader reads the rest: so it refuses what it refuses in a
`.json` file, and every line and column is that of the file.

Rejected: the libraries there are. `json-with-comments` also hands the rest to a JSON parser, but takes comments out, so
that columns move, and takes longer; `commentjson` parses in Python; `json5`, `pyjson5` and `hjson` accept what no
editor does, such as texts without quotes and hexadecimal numbers.
"""

from __future__ import annotations

import re
from typing import Any

from confcast.config.schema.key_path import KeyPath
from confcast.config.sources.formats import json
from confcast.config.sources.formats.common import Lines, Spot, Unparsable

# One without an end goes to the text's: else each quote in it would be tried as a beginning.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
_COMMENT = re.compile(rf'(?:[^"/]++|{_STRING}|/(?![/*]))*+(//[^\n\r]*+|/\*(?:[^*]++|\*(?!/))*+(?:\*/)?)', re.DOTALL)
_SPACE = r"[ \t\n\r]*+"
# A comma that no value stands before is kept, and so refused: behind an opening bracket, a colon or another comma.
_TRAILING = re.compile(rf'(?:[^",\[{{:]++|{_STRING}|[\[{{:,]{_SPACE},|[\[{{:]|,(?!{_SPACE}[\]}}]))*+(,)', re.DOTALL)
_MAY_BE_TRAILING = re.compile(rf",{_SPACE}[\]}}]")
_NO_BREAK = re.compile(r"[^\n\r]")


def parse(text: str) -> Any:
    """Parse a document; None if the text has none. Raises Unparsable."""
    return json.parse(as_json(text))


def locate(text: str) -> dict[KeyPath, Spot]:
    """The place of each key and each value of the document."""
    return json.locate(as_json(text))


def as_json(text: str) -> str:
    """The text with a blank for each character of a comment, and for each trailing comma. Raises Unparsable."""
    return _without_trailing_commas(_without_comments(text))


def _without_comments(text: str) -> str:
    if "//" not in text and "/*" not in text:
        return text
    pieces, end = list[str](), 0
    while (found := _COMMENT.match(text, end)) is not None:
        comment = found[1]
        if comment.startswith("/*") and not (comment.endswith("*/") and len(comment) > 3):
            raise Unparsable("is no valid JSON: a comment that begins here has no end", *Lines(text).at(found.start(1)))
        pieces += text[end : found.start(1)], _NO_BREAK.sub(" ", comment)
        end = found.end()
    return "".join((*pieces, text[end:]))


def _without_trailing_commas(text: str) -> str:
    if _MAY_BE_TRAILING.search(text) is None:
        return text
    pieces, end = list[str](), 0
    while (found := _TRAILING.match(text, end)) is not None:
        pieces += text[end : found.start(1)], " "
        end = found.end()
    return "".join((*pieces, text[end:]))
