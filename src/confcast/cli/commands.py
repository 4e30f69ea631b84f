"""The table of commands, the parser that is built from it, and the answer to a word that is no command.

A command is a file in this folder, with `add_to(commands)`, and one line in `COMMANDS`; one with verbs is a folder with
a file for each of them (`Verbs`). Guaranteed: a command that runs imports no other command's file. argparse parses,
with the extra `cli` and without it, so that messages, exit codes and abbreviations (there are none) are the same; click
is shown the same parsers for completion (`completion.py`).

Rejected: parsers of click (each option would be declared twice, or the commands would need click), and a search of the
folder for commands (their order, and what they are for at night, is not in it).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
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
    "serve": Command(),
    "exec": Command(),
    "fleet": Command(),
    "admin": Command(),
}
"""Each command, as it is typed, in the order in which they are shown."""

_MEANT = {
    "abort": ("rollback",),
    "accept": ("confirm",),
    "ack": ("confirm",),
    "api": ("admin",),
    "apply": ("reload", "set"),
    "approve": ("confirm",),
    "back": ("rollback",),
    "change": ("set",),
    "commit": ("confirm",),
    "continue": ("resume",),
    "dashboard": ("admin",),
    "delete": ("unset",),
    "deploy": ("fleet",),
    "describe": ("schema", "explain"),
    "dry-run": ("check",),
    "dryrun": ("check",),
    "edit": ("set",),
    "events": ("history", "versions"),
    "example": ("schema",),
    "fields": ("schema",),
    "gateway": ("fleet",),
    "get": ("show", "explain"),
    "gui": ("admin",),
    "hosts": ("fleet",),
    "info": ("status",),
    "keep": ("confirm",),
    "lint": ("check",),
    "list": ("versions", "status"),
    "log": ("history", "versions"),
    "logs": ("history", "versions"),
    "ls": ("versions", "status"),
    "override": ("set",),
    "page": ("admin",),
    "promote": ("confirm",),
    "ps": ("status",),
    "publish": ("fleet",),
    "push": ("fleet",),
    "refresh": ("reload",),
    "release": ("resume",),
    "remove": ("unset",),
    "restart": ("reload",),
    "revert": ("rollback",),
    "rollout": ("fleet",),
    "test": ("check",),
    "ui": ("admin",),
    "undo": ("rollback",),
    "update": ("reload", "set"),
    "validate": ("check",),
    "verify": ("check",),
    "web": ("admin",),
    "why": ("explain",),
    "workers": ("status",),
}
"""What people type first, and the commands that they mean by it. Those of them that exist are named."""

_EXITS = (
    "exit codes: 0 done; 1 refused; 2 usage; 3 no config owner answered; 4 in use, but not in every worker; "
    "5 another version runs than the one that was expected; 6 on trial; "
    "126 and 127 exec: the program can't be executed, or is not there; "
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
    options.command = options.command or words[0]
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


def parser_of_verb(command: str, verb: str) -> Parser:
    """The parser of a verb of this command, whose file is imported."""
    family = parser_of(command).verbs
    verbs = _Commands(f"confcast {command}")
    family.add(verb, verbs)
    return verbs.parsers[verb]


def _file(command: str) -> str:
    return COMMANDS[command].file or command


def _add(file: str, commands: object) -> None:
    import_module(f"{__package__}.{file}").add_to(commands)


def no_such(word: str) -> str:
    """What is said of a word that is no command: the commands that it may mean, or all of them."""
    return _no_such(word, "command", "confcast", COMMANDS, _meant(word))


def _no_such(word: str, kind: str, prefix: str, existing: Iterable[str], meant: Sequence[str]) -> str:
    text = f"there is no {kind} {printable(word)!r}"
    if meant:
        return f"{text}; did you mean {' or '.join(f'`{prefix} {each}`' for each in meant)}?"
    return f"{text}; there are {', '.join(existing)}"


def _meant(word: str) -> list[str]:
    """The existing commands that this word means; it may be misspelt."""
    return meant_by(word, _MEANT, COMMANDS)


def meant_by(word: str, meanings: Mapping[str, Sequence[str]], existing: Iterable[str]) -> list[str]:
    """Those of the existing words that this one means; it may be misspelt."""
    from difflib import get_close_matches  # imported here: a command that runs has no use for it

    there = list(existing)
    known = {**meanings, **{each: (each,) for each in there}}
    word = word.lower().replace("_", "-")
    near = [word] if word in known else get_close_matches(word, known, n=1)
    return [found for each in near for found in known[each] if found in there]


class Verbs(NamedTuple):
    """The verbs of a command that has several, each with a file of its own: `confcast fleet publish`.

    Attributes:
        package: The folder of their files.
        files: Each verb as it is typed, in the order in which they are shown, and its file.
        meanings: What people type first, and the verbs that they mean by it.
    """

    package: str
    files: Mapping[str, str] = {}
    meanings: Mapping[str, Sequence[str]] = {}

    def add(self, verb: str, verbs: object) -> None:
        """Add the parser of this verb, whose file is imported, and perhaps of others in that file."""
        import_module(f"{self.package}.{self.files[verb]}").add_to(verbs)

    def no_such(self, word: str, prefix: str) -> str:
        """What is said of a word that is no verb."""
        return _no_such(word, "verb", prefix, self.files, meant_by(word, self.meanings, self.files))


class Parser(argparse.ArgumentParser):
    """A parser that takes no abbreviation (the next option would break it), and says which option was meant.

    Attributes:
        verbs: What its command's first word may be; none for nearly all.
        takes_program: Whether all behind the first `--` is a program with its arguments, as `options.program`.
    """

    verbs = Verbs("")
    takes_program = False

    def __init__(self, **options: object) -> None:
        super().__init__(**{"allow_abbrev": False, "formatter_class": _formatter, **options})  # type: ignore[arg-type]

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The options as typed; `command` is "", or has the verb. Exits with 2 if they can't be understood."""
        if self.verbs.files:
            return self._parse_verb(arguments)
        index = list(arguments).index("--") if self.takes_program and "--" in arguments else len(arguments)
        options, unknown = self.parse_known_args(arguments[:index])
        if unknown:
            self._refuse(unknown)
        options.program = list(arguments[index + 1 :])
        options.command = ""
        return options

    def _parse_verb(self, arguments: Sequence[str]) -> argparse.Namespace:
        index = next((index for index, each in enumerate(arguments) if not each.startswith("-")), len(arguments))
        before, words = arguments[:index], arguments[index:]
        if not words or set(before) - {"--json"}:
            if not {"-h", "--help"}.isdisjoint(before):
                listed = self.add_subparsers(metavar="VERB", parser_class=Parser, prog=self.prog)
                for file in dict.fromkeys(self.verbs.files.values()):
                    import_module(f"{self.verbs.package}.{file}").add_to(listed)
            _, unknown = self.parse_known_args(before)
            if unknown:
                self._refuse(unknown)
            self.error(f"give a verb: {', '.join(self.verbs.files)}")
        if words[0] not in self.verbs.files:
            self.error(self.verbs.no_such(words[0], self.prog))
        parsers = _Commands(self.prog)
        self.verbs.add(words[0], parsers)
        options = parsers.parsers[words[0]].parse(words[1:])
        options.command = f"{self.prog.removeprefix('confcast ')} {words[0]}"
        options.json |= bool(before)
        return options

    def _refuse(self, unknown: list[str]) -> NoReturn:
        from difflib import get_close_matches

        if self.takes_program and not unknown[0].startswith("-"):
            self.error(f"write `--` before the program: {self.prog} -- {printable(' '.join(unknown))}")
        words = {text.partition("=")[0] for text in unknown if text.startswith("-")}
        near = [best for each in sorted(words) for best in get_close_matches(each, self._option_string_actions, n=1)]
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        self.error(f"unrecognized arguments: {printable(' '.join(unknown))}{hint}")


class _Commands:
    """Stands in for argparse's subparsers where the parser of one command is wanted, and no other parser."""

    def __init__(self, prog: str = "confcast") -> None:
        self.parsers: dict[str, Parser] = {}
        self._prog = prog

    def add_parser(self, name: str, **options: object) -> Parser:
        options.pop("help", None)  # for the list of all commands
        self.parsers[name] = Parser(prog=f"{self._prog} {name}", **options)
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
