"""The manager's options as flags of a command line: of each server's launcher, and of `confcast serve`.

`options.py` declares them; here they become arguments of a parser, which is handed in, since only a command line
imports argparse, and become options again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from confcast.wire import canary_flags, webhook_flags
from confcast.wire.options import EmbeddedOptions, declared, label_of_text, probe_of_text

if TYPE_CHECKING:
    from argparse import ArgumentParser


def add_to(parser: ArgumentParser) -> None:
    """Add a flag for each option that has one. An option that is not given is None."""
    how: dict[str, Any]
    for name, option in declared().items():
        if option.flag and option.type is bool:
            parser.add_argument(option.flag, dest=name, action="store_false", default=None, help=option.help)
        elif name == "canary":
            canary_flags.add_to(parser, prefix="canary-")
        elif name == "webhooks":
            webhook_flags.add_to(parser, option.help)
        elif name in _REPEATED:
            how = {"action": "append", "type": _REPEATED[name], "metavar": option.metavar, "help": option.help}
            parser.add_argument(option.flag, dest=name, **how)
        elif option.flag:
            kind = float if option.type == float | None else option.type if option.type in (int, float) else str
            how = {"type": kind, "choices": option.choices, "metavar": option.metavar}
            parser.add_argument(option.flag, dest=name, help=option.help, **how)


def taken(given: dict[str, Any]) -> EmbeddedOptions:
    """Take the options out of what a parser has found. Raises ValueError: they don't fit."""
    canary, webhooks = canary_flags.taken(given), webhook_flags.taken(given)
    options: dict[str, Any] = {name: given.pop(name) for name in declared() if given.get(name) is not None}
    options |= {} if canary is None else {"canary": canary}
    options |= {"webhooks": webhooks} if webhooks else {}
    if "labels" in options:
        labels = dict(options["labels"])
        if len(labels) < len(options["labels"]):
            raise ValueError("--label: each name has one value")
        options["labels"] = labels
    found: EmbeddedOptions = EmbeddedOptions(**options)  # type: ignore[typeddict-item]
    return found


def of_text(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """What an option's text on the command line stands for; it raises ArgumentTypeError."""

    def converted(text: str) -> Any:
        from argparse import ArgumentTypeError

        try:
            return convert(text)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from None

    return converted


_REPEATED = {"probes": of_text(probe_of_text), "labels": of_text(label_of_text)}
"""The options that may be given several times, and what their texts stand for."""
