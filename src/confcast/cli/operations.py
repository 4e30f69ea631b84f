"""`confcast rollback`, `resume`, `set`, `unset` and `confirm`: what a person does to a running server, editing no file.

Each waits for the outcome, and reports it as `reload` does. None asks for a confirmation: a script has nobody to
answer, and each of them can be taken back.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from confcast.cli import arguments, owners
from confcast.cli.arguments import duration, on_the_command_line
from confcast.cli.reload import add_guards_to, add_window_to, outcome
from confcast.cli.report import Report, line
from confcast.config.schema.masking import MASK
from confcast.errors import ConfcastError, OwnerUnavailable
from confcast.wire.messages import MARKED_SECRET, MARKED_URL, ReloadEvent, ReloadResult, SchemaKey

_EXITS = "Exits as `reload` does, and with 5 when another version runs than the one that --expect says."
_EXITS_OF_CONFIRM = (
    "Exits with 0 when it stays, and with 5 when it is too late, nothing waits, or another version runs."
)


def add_to(commands: Any) -> None:
    """Add the commands and their options."""
    rollback = _add(
        commands,
        "rollback",
        "go back to a version that is kept, and hold it until `resume`",
        "Puts the content of a kept version back, as the next version, and holds it: what the sources say is put to no "
        "worker until `confcast resume`. No source is read. A worker's no refuses it, unless it takes back what is "
        "provisional.",
        _rollback,
    )
    help_ = "its number; without it, what ran before what is provisional, else the newest good version before the one "
    help_ += "whose content runs"
    rollback.add_argument("version", nargs="?", type=version_number, metavar="N", help=help_)
    _add(
        commands,
        "resume",
        "follow the sources again: end a hold, and load",
        "Ends the hold that `rollback` has left, and has the sources loaded, even content that was undone.",
        _resume,
    )
    set_ = _add(
        commands,
        "set",
        "set values above all sources, in every worker",
        "Sets values above all sources, until `unset` or the end of --ttl. A text means what it means in an "
        "environment variable. Others may read a value on the command line: give a secret as KEY=@- or KEY=@FILE.",
        _set,
    )
    set_.add_argument(
        "values", nargs="+", metavar="KEY=VALUE", help="a dotted key and its value; @FILE and @- are read"
    )
    set_.add_argument("--ttl", type=duration, metavar="10m", help="end the values after this time")
    add_guards_to(set_)
    add_window_to(set_)
    unset = _add(
        commands,
        "unset",
        "end what was set: the sources' values count again",
        "Ends what `set` has set for these keys.",
        _unset,
    )
    unset.add_argument(
        "keys", nargs="+", metavar="KEY", help="a dotted key; a table's stands for all that is set in it"
    )
    confirm = _add(
        commands,
        "confirm",
        "keep what is provisional: commit what is on trial, keep what would be undone by itself",
        "Commits the version that is on trial, if no worker refuses it; or keeps what was changed with "
        "--confirm-within, or is on probation, and all that was changed since.",
        _confirm,
        expects=False,
    )
    help_ = "only if this version runs, or is on trial; without it, whatever does"
    confirm.add_argument("version", nargs="?", type=version_number, metavar="N", help=help_)


def _add(
    commands: Any, name: str, help_: str, description: str, run: Any, *, expects: bool = True
) -> argparse.ArgumentParser:
    description = f"{description} {_EXITS if expects else _EXITS_OF_CONFIRM}"
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help_, description=description)
    owners.add_to(parser)
    if expects:
        newest = "only if this version runs, or is on trial"
        parser.add_argument("--expect", type=version_number, metavar="N", help=newest)
    parser.add_argument("--reason", default="", help="why, for the history and the list of versions")
    parser.add_argument("--timeout", type=duration, metavar="SECONDS", help="how long to wait, all in all")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)
    return parser


def _rollback(options: argparse.Namespace) -> Report:
    owner, how = owners.find(options), _how(options)
    event = owner.within(options.timeout, lambda left: owner.rollback(options.version, timeout=left, **how))
    return outcome(owner, event)


def _resume(options: argparse.Namespace) -> Report:
    owner, how = owners.find(options), _how(options)
    return outcome(owner, owner.within(options.timeout, lambda left: owner.resume(timeout=left, **how)))


def _set(options: argparse.Namespace) -> Report:
    values, owner = assignments(options.values), owners.find(options)
    how = {**_how(options), "ttl": options.ttl, "confirm_within": options.confirm_within or None}
    how["allow"] = options.allow
    event = owner.within(options.timeout, lambda left: owner.set(values, timeout=left, **how))
    warn_of_secrets(event, options.values, owner.described)
    return outcome(owner, event)


def _unset(options: argparse.Namespace) -> Report:
    owner, how = owners.find(options), _how(options)
    return outcome(owner, owner.within(options.timeout, lambda left: owner.unset(options.keys, timeout=left, **how)))


def _confirm(options: argparse.Namespace) -> Report:
    owner, why = owners.find(options), options.reason
    event = owner.within(options.timeout, lambda left: owner.confirm(options.version, reason=why, timeout=left))
    return outcome(owner, event)


def _how(options: argparse.Namespace) -> dict[str, Any]:
    return {"expect": options.expect, "reason": options.reason}


def assignments(words: list[str]) -> dict[str, str]:
    """The values of `KEY=VALUE` words, by key. Raises SystemExit (2), after a message without any value."""
    try:
        return arguments.assignments(words)
    except argparse.ArgumentTypeError as error:
        print(f"confcast: {line(error)}", file=sys.stderr)
        raise SystemExit(2) from None


def warn_of_secrets(event: ReloadEvent, words: list[str], described: Callable[[str], Iterable[SchemaKey]]) -> None:
    """Warn of secrets that stand on the command line. Of those that were refused no change tells, but the schema does.

    `described`: asks the owner what the schema says of a key and of those below. Raises ConfcastError.
    """
    given = on_the_command_line(words)
    secret = {change.key for change in event.changes if MASK in str(change.new)}
    shown = {key for key in secret if any(_is_within(key, each) or _is_within(each, key) for each in given)}
    if not event.changes and event.result is not ReloadResult.OWNER_UNAVAILABLE:
        shown = set(_secrets_by_the_schema({key: _word_of(key, words) for key in given}, described))
    if shown:
        keys = line(", ".join(sorted(shown)))
        print(f"warning: others may have read a secret in the list of processes: {keys}; use KEY=@-", file=sys.stderr)


def _word_of(key: str, words: list[str]) -> str:
    return next(word for word in words if word.startswith(f"{key}="))


def _is_within(key: str, table: str) -> bool:
    """Whether a key is another one, or in its table: what is set may be a table, and a table's keys may be secrets."""
    return key == table or key.startswith(f"{table}.")


def _secrets_by_the_schema(given: dict[str, str], described: Callable[[str], Iterable[SchemaKey]]) -> Iterator[str]:
    """Which of these keys, each with its word, hold a secret: by their own type, by a table's, or in a table."""
    for key, word in given.items():
        try:
            fields = described(key.partition(".")[0])
        except OwnerUnavailable:  # or an earlier build runs, which knows no such question
            return
        except ConfcastError:
            continue
        if found := next((each.key for each in fields if _is_secret(each, key, word)), ""):
            yield found if _is_within(key, found) else key


def _is_secret(field: SchemaKey, key: str, word: str) -> bool:
    """Whether a field of the schema is a secret that this word has: at its key, around it, or in its table."""
    names = field.key.replace("[]", ".<key>").split(".")
    wanted = key.replace("[", ".").replace("]", "").split(".")
    if not all(name in (each, "<key>") for name, each in zip(names, wanted, strict=False)):
        return False
    is_in_word = len(names) <= len(wanted) or names[-1] == "<key>" or f'"{names[-1]}"' in word
    return is_in_word and (MARKED_SECRET in field.marks or (MARKED_URL in field.marks and "@" in word))


def version_number(text: str) -> int:
    """The number of a version. Raises ArgumentTypeError."""
    if not text.isdecimal() or not 0 < int(text) < 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of a version")
    return int(text)
