"""Texts that would become an infinite number: `float("1e400")` is one, and nobody has written that.

pydantic makes a number of a text, and YAML 1.1 reads `1e400` as one. Infinite is only what says so, such as `inf`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from confcast.config.sources.formats.common import TOO_LARGE, KeyPath, TooLarge, finite
from confcast.config.validation.annotations import child, members
from confcast.config.validation.findings import Finding

_LARGE = re.compile(r"\s*[+-]?[\d_.]+(?:[eE]\+?[\d_]{3,})?\s*")
_SHORTEST = 5  # 1e309


def check(annotation: Any, data: Any, path: KeyPath = ()) -> Iterator[Finding]:
    """Every text that stands where a float belongs and is a number too large for one."""
    for part, value in data.items() if isinstance(data, dict) else enumerate(data):
        if isinstance(value, dict | list):
            yield from check(child(annotation, part), value, (*path, part))
        elif isinstance(value, str) and len(value) >= _SHORTEST and _LARGE.fullmatch(value):
            kinds = members(child(annotation, part))
            if float in kinds and str not in kinds and _is_too_large(value.strip()):
                yield Finding((*path, part), TOO_LARGE)


def _is_too_large(text: str) -> bool:
    try:
        finite(text)
    except TooLarge:
        return True
    except ValueError:
        return False
    return False
