"""Masks secrets in an application's text: an exception of its code may quote a value that must not be shown.

A secret is found as it is, as Python and JSON quote it (the text of a `KeyError` is a repr), and line by line: a
private key has line breaks, and the traceback of an `ExceptionGroup` puts a margin before each line. Rejected: leaving
such texts out (they say what is wrong), and masking by the look of a text (it misses some secrets and masks others).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

MASK = "**********"

SHORTEST = 4
"""How many characters a secret must have to be masked: masking every "a" would garble a text, and reveal more."""


def masking(secrets: Iterable[object]) -> Callable[[str], str]:
    """A function that masks these secrets in a text.

    Args:
        secrets: Their values: text, bytes and numbers.
    """
    texts = {text for secret in secrets for text in _texts(secret)}
    forms = sorted({form for text in texts for form in _forms(text)}, key=len, reverse=True)

    def masked(text: str) -> str:
        for form in forms:
            text = text.replace(form, MASK)
        return text

    return masked


def _texts(secret: object) -> Iterator[str]:
    text = secret.decode(errors="replace") if isinstance(secret, bytes) else str(secret)
    content = secret if isinstance(secret, bytes) else text.encode(errors="surrogatepass")
    yield repr(content)[2:-1]  # also for a text, of which a `SecretBytes` may have been made
    yield text
    yield text.strip()  # a type may strip blanks before a validator sees the secret
    yield from map(str.strip, text.splitlines())


def _forms(secret: str) -> Iterator[str]:
    """Every way in which a text may quote a secret; none for a secret that is too short."""
    if len(secret) < SHORTEST:
        return
    yield secret
    yield repr(secret)[1:-1]
    yield repr(secret + "'\"")[1:-4]  # as in the repr of a longer text, which has quotes of both kinds
    for ascii_only in (True, False):
        yield json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
