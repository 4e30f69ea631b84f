"""The flags by which a command line says how a version is tried: those of a launcher, and of `confcast reload`.

A launcher's are options of its manager, so they begin with `--canary-`; a command's are `--canary 25% --for 60`. Their
parser is handed in, since only a command line imports argparse.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from confcast.wire.canary import Canary

if TYPE_CHECKING:
    from argparse import ArgumentParser

_FURTHER = {"for": "seconds", "by": "by", "min-requests": "min_requests", "inconclusive": "inconclusive"}
"""The flags beside `--canary`, without what they begin with, and the field of Canary that each gives."""


def further(prefix: str = "") -> dict[str, str]:
    """Those flags, each with its destination."""
    return {f"--{prefix}{flag}": f"canary_{field}" for flag, field in _FURTHER.items()}


def add_to(parser: ArgumentParser, prefix: str = "", seconds: Callable[[str], float] = float) -> None:
    """Add the flags. `seconds`: reads a duration."""
    parser.add_argument(
        "--canary",
        type=_size,
        metavar="SIZE",
        help="try a new version in so many workers (3), or in that share of them (25%%), before it is committed",
    )
    hows: tuple[dict[str, Any], ...] = (
        {"type": seconds, "metavar": "SECONDS", "help": "how long it is tried (60)"},
        {"choices": ("worker", "entity"), "help": "whether workers run it, or requests of a share of the entities"},
        {"type": int, "metavar": "REQUESTS", "help": "how many requests must have ended on it by then (50)"},
        {"choices": ("undo", "promote"), "help": "what becomes of it where fewer have, after as long again (undo)"},
    )
    for (flag, field), how in zip(further(prefix).items(), hows, strict=True):
        parser.add_argument(flag, dest=field, **how)


def taken(options: dict[str, Any]) -> Canary | None:
    """Take what these flags have given out of the options; None where no version is to be tried.

    Raises ValueError: They don't fit.
    """
    size = options.pop("canary", None)
    given = {field: options.pop(f"canary_{field}", None) for field in _FURTHER.values()}
    how = {field: value for field, value in given.items() if value is not None}
    if size is None:
        if how:
            raise ValueError("--canary SIZE is missing: in how many workers, or in which share, a version is tried")
        return None
    return Canary(size, **how)


def _size(text: str) -> int | str:
    """A number of workers, or a share. Raises ArgumentTypeError."""
    from argparse import ArgumentTypeError

    size = int(text) if text.isdecimal() else text
    try:
        Canary(size)
    except ValueError as error:
        raise ArgumentTypeError(str(error).removeprefix("Canary: size=")) from None
    return size
