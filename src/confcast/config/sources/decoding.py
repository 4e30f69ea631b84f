"""Decodes the bytes of a text file: UTF-8, perhaps with a byte order mark, and nothing else."""

from __future__ import annotations

import codecs

# UTF-32 first: its byte order mark begins with that of UTF-16.
_OTHER_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)


class NotDecodable(Exception):
    """The bytes are no UTF-8. `line` and `column` count from 1, and are 0 if the whole is in another encoding."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


def decoded(content: bytes) -> str:
    """The text of a file's content. Raises NotDecodable."""
    for mark, name in _OTHER_MARKS:
        if content.startswith(mark):
            raise NotDecodable(f"is {name}, as its byte order mark says: save it as UTF-8")
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode().split("\n")
        raise NotDecodable("is not UTF-8: save it as UTF-8", len(before), len(before[-1]) + 1) from None
