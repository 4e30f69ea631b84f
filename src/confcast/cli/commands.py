"""The table of commands, the parser that is built from it, and the answer to a word that is no command.

A command is a file in this folder, with `add_to(commands)`, and one line in `COMMANDS`. Guaranteed: a command that
runs imports no other command's file. argparse parses, with the extra `cli` and without it, so that messages, exit codes
and abbreviations (there are none) are the same; click is shown the same parsers for completion (`completion.py`).

Rejected: parsers of click (each option would be declared twice, or the commands would need click), and a search of the
folder for commands (their order, and what they are for at night, is not in it).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import NamedTuple, NoReturn

import confcast
from confcast.cli import terminal
from confcast.cli.report import Report
from confcast.texts import printable


class Command(NamedTuple):
    """One command of the table.

    Attributes:
        night: What it does on a bad night; "" if `confcast` alone does not list it.
        file: Its file in this folder, if that has another name; a file may have several commands.
    """

    night: str = ""
    file: str = ""


COMMANDS = {
    "status": Command("what runs in which process, and why the last load was refused"),
    "history": Command("what was changed or refused, when and by whom; with --follow, as it comes"),
    "versions": Command(),
    "reload": Command("load the sources once more, and see each worker's answer"),
    "rollback": Command("go back to the last good version, and stay there until `resume`", file="operations"),
    "resume": Command("follow the sources again", file="operations"),
    "set": Command("set one value in every worker, above all sources; with --ttl, for a time", file="operations"),
    "unset": Command("end what was set", file="operations"),
    "confirm": Command("keep a change that would be undone by itself (--confirm-within)", file="operations"),
    "check": Command("what a reload would change, and whether a worker would refuse it; changes nothing"),
    "explain": Command("where a value comes from, and what it hides"),
    "show": Command(),
    "schema": Command(),
    "diff": Command("what differs between two versions, what runs, and the sources"),
    "wait": Command(),
}
"""Each command, as it is typed, in the order in which they are shown."""

_MEANT = {
    "abort": ("rollback",),
    "accept": ("confirm",),
    "ack": ("confirm",),
    "apply": ("reload", "set"),
    "approve": ("confirm",),
    "back": ("rollback",),
    "change": ("set",),
    "commit": ("confirm",),
    "continue": ("resume",),
    "delete": ("unset",),
    "describe": ("schema", "explain"),
    "dry-run": ("check",),
    "dryrun": ("check",),
    "edit": ("set",),
    "events": ("history", "versions"),
    "example": ("schema",),
    "fields": ("schema",),
    "get": ("show", "explain"),
    "info": ("status",),
    "keep": ("confirm",),
    "lint": ("check",),
    "list": ("versions", "status"),
    "log": ("history", "versions"),
    "logs": ("history", "versions"),
    "ls": ("versions", "status"),
    "override": ("set",),
    "promote": ("confirm",),
    "ps": ("status",),
    "refresh": ("reload",),
    "release": ("resume",),
    "remove": ("unset",),
    "restart": ("reload",),
    "revert": ("rollback",),
    "test": ("check",),
    "undo": ("rollback",),
    "update": ("reload", "set"),
    "validate": ("check",),
    "verify": ("check",),
    "why": ("explain",),
    "workers": ("status",),
}
"""What people type first, and the commands that they mean by it. Those of them that exist are named."""

_EXITS = (
    "exit codes: 0 done; 1 refused; 2 usage; 3 no config owner answered; 4 in use, but not in every worker; "
    "5 another version runs than the one that was expected; 6 on trial; "
    "141 the reader of the report has gone"
)
_USUAL_WIDTH = 80


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options as typed; `run` is the function that carries them out. `command` is "" if no command was typed.

    Raises:
        SystemExit: They can't be understood (2), or help or the version was asked for (0).
    """
    index = next((index for index, each in enumerate(arguments) if not each.startswith("-")), len(arguments))
    before, words = arguments[:index], arguments[index:]
    helps = not {"-h", "--help"}.isdisjoint(before)
    if not words or helps or "--version" in before:
        return top(COMMANDS if helps else ()).parse(before)
    if other := next((each for each in before if each != "--json"), ""):
        top().error(f"{printable(other)}: options follow the command, as in `confcast status --json`")
    if words[0] not in COMMANDS:
        top().error(no_such(words[0]))
    options = parser_of(words[0]).parse(words[1:])
    options.command = words[0]
    options.json |= bool(before)
    return options


def parser_of(command: str) -> Parser:
    """The parser of this command, whose file is imported."""
    commands = _Commands()
    _add(_file(command), commands)
    return commands.parsers[command]


def top(listed: Iterable[str] = ()) -> Parser:
    """The parser of a command line without a command. Its help lists these commands, whose files are imported."""
    parser = Parser(prog="confcast", description=_DESCRIPTION, epilog=_EXITS)
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version of confcast")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(command="", run=_overview)
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=Parser, prog="confcast")
    for file in dict.fromkeys(map(_file, listed)):
        _add(file, commands)
    return parser


def _file(command: str) -> str:
    return COMMANDS[command].file or command


def _add(file: str, commands: object) -> None:
    import_module(f"{__package__}.{file}").add_to(commands)


def no_such(word: str) -> str:
    """What is said of a word that is no command: the commands that it may mean, or all of them."""
    text = f"there is no command {printable(word)!r}"
    if meant := _meant(word):
        return f"{text}; did you mean {' or '.join(f'`confcast {each}`' for each in meant)}?"
    return f"{text}; there are {', '.join(COMMANDS)}"


def _meant(word: str) -> list[str]:
    """The existing commands that this word means; it may be misspelt."""
    from difflib import get_close_matches  # imported here: a command that runs has no use for it

    known = {**_MEANT, **{command: (command,) for command in COMMANDS}}
    word = word.lower().replace("_", "-")
    near = [word] if word in known else get_close_matches(word, known, n=1)
    return [command for each in near for command in known[each] if command in COMMANDS]


class Parser(argparse.ArgumentParser):
    """A parser that takes no abbreviation (the next option would break it), and says which option was meant."""

    def __init__(self, **options: object) -> None:
        super().__init__(**{"allow_abbrev": False, "formatter_class": _formatter, **options})  # type: ignore[arg-type]

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The options as typed. Exits with 2 if they can't be understood."""
        options, unknown = self.parse_known_args(arguments)
        if unknown:
            self._refuse(unknown)
        return options

    def _refuse(self, unknown: list[str]) -> NoReturn:
        from difflib import get_close_matches

        words = {text.partition("=")[0] for text in unknown if text.startswith("-")}
        near = [best for each in sorted(words) for best in get_close_matches(each, self._option_string_actions, n=1)]
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        self.error(f"unrecognized arguments: {printable(' '.join(unknown))}{hint}")


class _Commands:
    """Stands in for argparse's subparsers where the parser of one command is wanted, and no other parser."""

    def __init__(self) -> None:
        self.parsers: dict[str, Parser] = {}

    def add_parser(self, name: str, **options: object) -> Parser:
        options.pop("help", None)  # for the list of all commands
        self.parsers[name] = Parser(prog=f"confcast {name}", **options)
        return self.parsers[name]


def _formatter(prog: str) -> argparse.HelpFormatter:
    """The usual formatter, told the width: it asks once for each option, and imports much to find it out."""
    return argparse.HelpFormatter(prog, width=(terminal.columns(sys.stdout) or _USUAL_WIDTH) - 2)


class _Version(argparse.Action):
    """Like argparse's own action, but reads the version only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"confcast {confcast.__version__}")
        parser.exit()


def _overview(options: argparse.Namespace) -> Report:
    from confcast.cli import overview  # imported here: a command that runs has no use for it

    return overview.run({command: each.night for command, each in COMMANDS.items()})


_DESCRIPTION = "The configuration of a running server. Without a command: what runs here, and what to type."
