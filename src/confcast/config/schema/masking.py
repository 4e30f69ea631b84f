"""Masks secrets in an application's text: an exception of its code may quote a value that must not be shown.

A secret is found as it is, as Python and JSON quote it (the text of a `KeyError` is a repr), and line by line: a
private key has line breaks, and the traceback of an `ExceptionGroup` puts a margin before each line. Rejected: leaving
such texts out (they say what is wrong), and masking by the look of a text (it misses some secrets and masks others).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from confcast.texts import str_of

MASK = "**********"

SHORTEST = 4
"""How many characters a secret must have to be masked: masking every "a" would garble a text, and reveal more."""


_FEW = 50
"""Texts that are looked for one by one."""

_QUOTED_AS_IT_IS = re.compile(r"[ !#-&(-\[\]-~]*")  # what can be printed of ASCII, but for quotes and the backslash


class Replacement(NamedTuple):
    """A secret with what stands around it, by which it is recognised however short it is: `:pw@` of a URL.

    Attributes:
        form: What a text may have.
        shown: What is shown in its place.
    """

    form: str
    shown: str


def masking(secrets: Iterable[object]) -> Callable[[str], str]:
    """A function that masks these secrets in a text.

    Args:
        secrets: Their values: text, bytes and numbers; and replacements.
    """
    shown: dict[str, str] = {}
    for secret in secrets:
        if isinstance(secret, Replacement):
            shown |= dict.fromkeys(_quotations(secret.form), secret.shown)
        else:
            shown |= {form: MASK for text in _texts(secret) for form in _forms(text)}
    forms = _Forms(sorted(shown, key=len, reverse=True))

    def masked(text: str) -> str:
        for form in forms.perhaps_in(text):
            text = text.replace(form, shown[form])
        return text

    return masked


class _Forms:
    """Texts to be looked for, and which of them may be in another text.

    A document may have a hundred thousand secrets, and a thousand messages: to look for each in each would take hours.
    So each is found by its first characters, unless they are few.

    Args:
        forms: The texts, the longest first.
    """

    def __init__(self, forms: list[str]) -> None:
        self._all = forms
        self._size = min(map(len, forms), default=0)
        self._by_begin: dict[str, list[int]] | None = None

    def perhaps_in(self, text: str) -> list[str]:
        """Those that may be in a text, the longest first."""
        if len(self._all) <= _FEW or not self._size:
            return self._all
        if self._by_begin is None:
            self._by_begin = {}
            for index, form in enumerate(self._all):
                self._by_begin.setdefault(form[: self._size], []).append(index)
        begins = {text[at : at + self._size] for at in range(len(text) - self._size + 1)}
        places = {index for begin in begins & self._by_begin.keys() for index in self._by_begin[begin]}
        return [self._all[index] for index in sorted(places)]


def _texts(secret: object) -> Iterator[str]:
    text = secret.decode(errors="replace") if isinstance(secret, bytes) else str_of(secret)
    content = secret if isinstance(secret, bytes) else text.encode(errors="surrogatepass")
    yield repr(content)[2:-1]  # also for a text, of which a `SecretBytes` may have been made
    yield text
    yield text.strip()  # a type may strip blanks before a validator sees the secret
    yield from map(str.strip, text.splitlines())


def _forms(secret: str) -> Iterator[str]:
    """Every way in which a text may quote a secret; none for a secret that is too short."""
    if len(secret) >= SHORTEST:
        yield from _quotations(secret)


def _quotations(secret: str) -> Iterator[str]:
    yield secret
    if _QUOTED_AS_IT_IS.fullmatch(secret):
        return
    yield repr(secret)[1:-1]
    yield repr(secret + "'\"")[1:-4]  # as in the repr of a longer text, which has quotes of both kinds
    for ascii_only in (True, False):
        yield json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
