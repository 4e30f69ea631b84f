"""Completion in bash, zsh and fish, by click: commands, options, choices, and what can be read without asking an owner.

    eval "$(_CONFCAST_COMPLETE=bash_source confcast)"             # in ~/.bashrc; for zsh zsh_source, in ~/.zshrc
    _CONFCAST_COMPLETE=fish_source confcast | source              # in ~/.config/fish/config.fish

click is only shown the parsers that argparse has; it runs no command. Guaranteed: no value of a configuration is
completed, and what an owner's folder says is printed as one line. Rejected: scripts of our own for three shells, and
completions that ask an owner (a key that is pressed may not wait).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from confcast.cli import commands
from confcast.cli.report import ExitCode, line
from confcast.texts import shortened
from confcast.wire.files import owner_dirs
from confcast.wire.files.owner_dirs import OwnerDir

if TYPE_CHECKING:
    import click

_LONGEST = 60
_VALUES: dict[str, Callable[[OwnerDir], str]] = {
    "name": lambda each: each.label,
    "pid": lambda each: str(each.master),
    "address": lambda each: each.address,
}
"""The arguments that name something of an owner, and what that is."""


def answer(instruction: str, variable: str) -> int:
    """Do as the shell's script asks: print completions, or that script. Returns the exit code.

    Args:
        instruction: `bash_source` prints the script, `bash_complete` the completions; likewise for zsh and fish.
        variable: The environment variable that has the instruction.
    """
    try:
        from click.shell_completion import shell_complete
    except ImportError:
        print("confcast: completion needs click: pip install 'confcast[cli]'", file=sys.stderr)
        return ExitCode.USAGE
    if shell_complete(_group(), {}, "confcast", variable, instruction):
        print(f"confcast: {variable} has to be bash_source, zsh_source or fish_source", file=sys.stderr)
        return ExitCode.USAGE
    return ExitCode.DONE


def _group() -> click.Group:
    """The whole command line, as click sees it. A command's file is imported when the command is asked for."""
    return _group_of("confcast", commands.top(), list(commands.COMMANDS), _command)


def _group_of(
    name: str, parser: argparse.ArgumentParser, words: list[str], make: Callable[[str], click.Command]
) -> click.Group:
    """A parser's options, and the words that may follow them, each of which is made when it is asked for."""
    import click

    class Group(click.Group):
        def list_commands(self, ctx: click.Context) -> list[str]:
            return words

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            return make(cmd_name) if cmd_name in words else None

    return Group(name, params=_parameters(parser), help=parser.description, add_help_option=False)


def _command(name: str) -> click.Command:
    parser = commands.parser_of(name)
    if verbs := list(parser.verbs.files):
        return _group_of(name, parser, verbs, lambda verb: _plain(verb, commands.parser_of_verb(name, verb)))
    return _plain(name, parser)


def _plain(name: str, parser: argparse.ArgumentParser) -> click.Command:
    import click

    return click.Command(name, params=_parameters(parser), help=parser.description, add_help_option=False)


def _parameters(parser: argparse.ArgumentParser) -> list[click.Parameter]:
    """The parser's options and arguments, as click declares them; none is checked."""
    shown = [each for each in parser._actions if not isinstance(each, argparse._SubParsersAction)]
    return [_option(each) if each.option_strings else _argument(each) for each in shown]


def _option(action: argparse.Action) -> click.Parameter:
    import click

    flag = action.nargs == 0
    text = None if action.help is None else action.help.replace("%%", "%")
    names = [*action.option_strings, action.dest]
    return click.Option(names, is_flag=flag, help=text, **({} if flag else _completed(action)))


def _argument(action: argparse.Action) -> click.Parameter:
    import click

    return click.Argument([action.dest], nargs=-1 if action.nargs in ("*", "+") else 1, **_completed(action))


def _completed(action: argparse.Action) -> dict[str, Any]:
    """How click completes the values of this option or argument."""
    import click

    if action.choices is not None:
        return {"type": click.Choice(list(map(str, action.choices)))}
    value = _VALUES.get(action.dest)
    return {} if value is None else {"shell_complete": lambda _, __, begun: list(_of_owners(value, begun))}


def _of_owners(value: Callable[[OwnerDir], str], begun: str) -> Iterator[object]:
    """Completions from the owners that run, without asking one: each value, and what is served there."""
    from click.shell_completion import CompletionItem

    found = owner_dirs.loading(None, [*owner_dirs.living(), *owner_dirs.of_other_users()])
    for text, each in {value(each): each for each in found}.items():
        if text.startswith(begun):
            yield CompletionItem(line(text), help=line(shortened(f"{each.label}: {each.command()}", _LONGEST)))
