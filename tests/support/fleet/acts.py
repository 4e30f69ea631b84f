"""What hosts do with a payload, which says so itself: apply it, refuse it, hang in it, undo it, or die of it.

A payload gives shares of the hosts, in per cent. Which hosts are in one depends on the payload's number and on the
host's name alone, so that a run can be repeated, and a test knows beforehand who will refuse.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Literal, cast

from confcast.fleet.head import position

Act = Literal["apply", "refuse", "hang", "undo", "die"]


def payload(number: int, **shares: float) -> bytes:
    """A payload, as TOML.

    Args:
        number: Tells it from the others, and mixes the hosts.
        shares: Per cent of the hosts by what they do; the others apply it.
    """
    lines = [f"number = {number}", "[shares]", *(f"{act} = {share:g}" for act, share in shares.items())]
    return "\n".join([*lines, ""]).encode()


def act_of(content: bytes, host: str) -> Act:
    """What this host does with this payload."""
    values = tomllib.loads(content.decode())
    return act(values["number"], values["shares"], host)


def act(number: int, shares: Mapping[str, float], host: str) -> Act:
    """What this host does with a payload that has this number and these shares."""
    at = position(f"act {number}", host)
    for name, share in shares.items():
        if at <= share:
            return cast(Act, name)
        at -= share
    return "apply"
