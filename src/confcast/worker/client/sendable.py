"""Refuses a request that no owner takes, before it is sent.

An owner closes the pipe of a request that it can't read: its caller would be told that the outcome is unknown, and a
worker that asks on its own pipe would lose that. Rejected: the owner's decoder here (a command would look into the
class of each message, for what is right nearly always).
"""

from __future__ import annotations

from confcast.wire.messages import MAX_REQUEST, Confirm, Request, encode


class NotSendable(ValueError):
    """A request that no owner takes; the message has none of its values."""


def check_sendable(request: Request) -> None:
    """Raise NotSendable if a request is too long, or not all of it is valid; TypeError if an argument is no text."""
    _check_numbers(request)
    _check_texts(request)
    try:
        size = len(encode(request))
    except UnicodeEncodeError:  # its text shows where, and the error has the whole text, which may be a secret
        raise NotSendable("a text in the request is no UTF-8, or has half of a surrogate pair") from None
    if size > MAX_REQUEST:
        raise NotSendable(f"the request has {size} bytes, and an owner reads at most {MAX_REQUEST}: use a file for it")


def _check_numbers(request: Request) -> None:
    lowest = 0 if isinstance(request, Confirm) else 1
    for name in ("version", "expect", "a", "b"):
        value = getattr(request, name, None)
        is_word = name in "ab" and value in ("running", "sources")
        if value is not None and not is_word and not (type(value) is int and lowest <= value < 2**63):
            raise NotSendable(f"{name}={value!r}: the number of a version is expected")


def _check_texts(request: Request) -> None:
    named = [(name, getattr(request, name, "")) for name in ("reason", "key")]
    for name, value in (*named, *(("a key", each) for each in getattr(request, "keys", ()))):
        if not isinstance(value, str):
            raise TypeError(f"{name} is a {type(value).__name__}: a text is expected")
