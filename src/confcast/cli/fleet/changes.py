"""`confcast fleet rollback` and `confcast fleet confirm`: what a person does to a rollout, or after one."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from confcast.cli.fleet import engine_options
from confcast.cli.fleet.publish import outcome
from confcast.cli.report import Report

if TYPE_CHECKING:
    from confcast.fleet.engines.link import Link


def add_to(commands: Any) -> None:
    """Add the verbs and their options."""
    rollback = _add(
        commands,
        "rollback",
        "end the rollout that is going on, or go back to what was stable before",
        "Ends the rollout that is going on: all hosts go back to what is stable. If there is none, all hosts go back, "
        "at once, to what was stable before, or to what was stable in HEAD; twice goes back two.",
        _rollback,
    )
    rollback.add_argument("head", nargs="?", default="", metavar="HEAD", help="as `confcast fleet history` lists it")
    _add(
        commands,
        "confirm",
        "pass the present stage of a rollout, whatever its hosts have said",
        "Passes the present stage of the rollout that is going on: the next stage begins, or it becomes stable for "
        "all hosts. A publisher that carries the rollout on goes on from there.",
        _confirm,
    )


def _add(commands: Any, name: str, help_: str, description: str, run: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help_, description=description)
    engine_options.add_to(parser)
    engine_options.add_change_to(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)
    return parser


def _rollback(options: argparse.Namespace) -> Report:
    async def ask(link: Link) -> Report:
        from confcast.fleet import publishing

        return outcome(await publishing.rollback(link, engine_options.author_of(options), options.head))

    return engine_options.asked(options, ask)


def _confirm(options: argparse.Namespace) -> Report:
    async def ask(link: Link) -> Report:
        from confcast.fleet import publishing

        return outcome(await publishing.confirm(link, engine_options.author_of(options)))

    return engine_options.asked(options, ask)
