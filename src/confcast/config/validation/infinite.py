"""Refuses texts that would become an infinite number: `float("1e400")` is infinite, and no person meant that.

pydantic makes a number from a text, and YAML 1.1 reads `1e400` as text. Only a text such as `inf` means infinity.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

from confcast.config.schema.annotations import child, members
from confcast.config.schema.key_path import texts
from confcast.config.sources.formats.common import TOO_LARGE, TooLarge, finite
from confcast.config.validation.field_errors import FieldError

_LARGE = re.compile(r"\s*[+-]?[\d_.]+(?:[eE]\+?[\d_]{3,})?\s*")
_FIRST = "0123456789+-._ \t\r\n\f\v"  # checked first, since it is cheaper than the pattern
_SHORTEST = 5  # characters, as in 1e309
_LONG = 300  # digits without an exponent, with some to spare


def check(annotation: Any, data: Any) -> Iterator[FieldError]:
    """An error for every text in the place of a float that is a number too large for one."""
    for path, _ in texts(data, _is_too_large):
        kinds = members(functools.reduce(child, path, annotation))
        if float in kinds and str not in kinds:
            yield FieldError(path, TOO_LARGE)


def _is_too_large(text: str) -> bool:
    """Whether a text is a number that is. Cheap for all others: they may be a hundred thousand addresses."""
    if len(text) < _SHORTEST or text[0] not in _FIRST:
        return False
    if (len(text) < _LONG and "e" not in text and "E" not in text) or _LARGE.fullmatch(text) is None:
        return False
    try:
        finite(text.strip())
    except TooLarge:
        return True
    except ValueError:
        return False
    return False
