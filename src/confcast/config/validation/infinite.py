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


def check(annotation: Any, data: Any) -> Iterator[FieldError]:
    """An error for every text in the place of a float that is a number too large for one."""
    for path, text in texts(data, _may_be_one):
        kinds = members(functools.reduce(child, path, annotation))
        if float in kinds and str not in kinds and _is_too_large(text.strip()):
            yield FieldError(path, TOO_LARGE)


def _may_be_one(text: str) -> bool:
    return len(text) >= _SHORTEST and text[0] in _FIRST and _LARGE.fullmatch(text) is not None


def _is_too_large(text: str) -> bool:
    try:
        finite(text)
    except TooLarge:
        return True
    except ValueError:
        return False
    return False
