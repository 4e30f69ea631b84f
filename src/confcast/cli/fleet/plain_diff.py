"""What differs between two documents of plain data, where no schema says what is secret.

Guaranteed: a value is masked if its key, or a key around it, may name a secret; a URL's password is masked in any
value; and so is any text that looks drawn by chance, or like a private key. So more is masked than has to be.

Rejected: to show plain values and warn (a person would read the warning below the password).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from confcast.config.diff import cut, plain
from confcast.config.schema.key_path import shown as shown_part
from confcast.config.schema.masking import MASK
from confcast.config.schema.secret_urls import shown_url
from confcast.texts import repr_of, str_of
from confcast.wire.messages import Change

_SECRET_KEY = re.compile(
    r"pass|pwd|secret|token|credential|private|auth|key|dsn|salt|cookie|sign|cert|pin$|hash|seed|nonce|conn|jwt|bearer",
    re.IGNORECASE,
)
_LONG = re.compile(r"[A-Za-z0-9+/_=.~-]{16,}")
_WORD = re.compile(r"\S{16,}")
_DIGIT, _LETTER = re.compile(r"\d"), re.compile("[A-Za-z]")


def plain_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Every key whose value differs, in the order of the documents. A list is one value."""
    return list(_compare(old, new, "", masked=False))


def _compare(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str, *, masked: bool) -> Iterator[Change]:
    for name in dict.fromkeys((*old, *new)):
        key, hidden = f"{prefix}{_key(name)}", masked or bool(_SECRET_KEY.search(str_of(name)))
        was, now = old.get(name), new.get(name)
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            yield from _compare(was, now, f"{key}.", masked=hidden)
        elif isinstance(was, Mapping) or isinstance(now, Mapping):
            if was is not None and now is not None:
                yield Change(key, _kind(was), _kind(now))
            yield from _compare(_table(was), _table(now), f"{key}.", masked=hidden)
        elif type(was) is not type(now) or repr_of(was) != repr_of(now):
            yield Change(key, _shown(was, masked=hidden), _shown(now, masked=hidden))


def _key(name: Any) -> str:
    return _without_chance(shown_part(name))


def _without_chance(text: str) -> str:
    """The text with what was made by chance masked: long parts of a word, from which on it has a digit and a letter.

    Each word is looked at once. A pattern that looks ahead from each character takes the square of its length.
    """
    return _WORD.sub(_masked_word, text)


def _masked_word(word: re.Match[str]) -> str:
    last = min(_last(_DIGIT, word[0]), _last(_LETTER, word[0]))
    return _LONG.sub(lambda part: MASK if part.start() <= last else part[0], word[0])


def _last(kind: re.Pattern[str], word: str) -> int:
    """Where the last character of a kind stands; -1 for none."""
    return max((found.start() for found in kind.finditer(word)), default=-1)


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _kind(value: Any) -> str:
    return "a table" if isinstance(value, Mapping) else f"a {type(value).__name__}"


def _shown(value: Any, *, masked: bool) -> Any:
    if value is None:
        return None
    if masked:
        return MASK
    if isinstance(value, list | tuple):
        return cut([_shown(each, masked=False) for each in value])
    if isinstance(value, Mapping):
        return cut({_key(k): _shown(each, masked=bool(_SECRET_KEY.search(str_of(k)))) for k, each in value.items()})
    shown = plain(value)
    if not isinstance(shown, str):
        return cut(shown)
    return MASK if "-----BEGIN" in shown else cut(_without_chance(shown_url(shown)))
