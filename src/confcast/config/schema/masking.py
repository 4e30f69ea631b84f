"""Masks secrets in an application's text: an exception of its code may quote a value that must not be shown.

A secret is found as it is, as Python and JSON quote it (the text of a `KeyError` is a repr), and line by line: a
private key has line breaks, and the traceback of an `ExceptionGroup` puts a margin before each line. Rejected: leaving
such texts out (they say what is wrong), and masking by the look of a text (it misses some secrets and masks others).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from confcast.texts import str_of

MASK = "**********"

SHORTEST = 4
"""How many characters a secret must have to be masked: masking every "a" would garble a text, and reveal more."""


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
    forms = sorted(shown, key=len, reverse=True)

    def masked(text: str) -> str:
        for form in forms:
            text = text.replace(form, shown[form])
        return text

    return masked


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
    yield repr(secret)[1:-1]
    yield repr(secret + "'\"")[1:-4]  # as in the repr of a longer text, which has quotes of both kinds
    for ascii_only in (True, False):
        yield json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
