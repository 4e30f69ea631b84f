"""`confcast fleet diff [A [B]]` lists what differs between two published configurations; secrets are masked.

With `--loader` or `--schema` the schema says what a secret is. Without, whatever may be one by its key or its look is
masked (`plain_diff.py`).
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from confcast.cli.fleet import content, engine_options
from confcast.cli.fleet.plain_diff import plain_differences
from confcast.cli.reload import shown_change
from confcast.cli.report import ExitCode, Report, line
from confcast.errors import ConfigError

if TYPE_CHECKING:
    from confcast.cli.fleet.content import Checker
    from confcast.fleet.engines.engine import Store
    from confcast.fleet.engines.link import Link
    from confcast.wire.messages import Change


def add_to(commands: Any) -> None:
    """Add the verb and its options."""
    parser = commands.add_parser(
        "diff",
        help="list what differs between two published configurations",
        description="Lists what differs from A to B, by key. Each is `stable`, `next`, or a head that `confcast fleet "
        "history` lists, which stands for what it brought. Changes nothing. Without --loader or --schema, all that "
        "may be a secret by its key or its look is masked.",
    )
    parser.add_argument("a", nargs="?", default="", metavar="A", help="default: stable")
    parser.add_argument("b", nargs="?", default="", metavar="B", help="default: next; stable if A is given")
    engine_options.add_to(parser)
    content.add_to(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Report:
    """Ask the engine, and report. Raises Unreachable if it does not answer."""
    a, b = options.a or "stable", options.b or ("stable" if options.a else "next")
    try:
        checker = content.Checker(options, engine_options.key_of(options))
    except ConfigError as error:
        return Report(ExitCode.REFUSED, "\n".join(map(line, error.problems)), {"problems": error.problems})

    async def ask(link: Link) -> Report:
        from confcast.fleet.engines.link import patiently
        from confcast.fleet.publishing import LOOK_WITHIN, payload_of

        async def look(store: Store) -> Report:
            (old, was), (new, now) = [await payload_of(store, each) for each in (a, b)]
            return report((a, old, was), (b, new, now), checker)

        return await patiently(link, LOOK_WITHIN, look)

    return engine_options.asked(options, ask)


def report(old: tuple[str, str, bytes], new: tuple[str, str, bytes], checker: Checker) -> Report:
    """The report on what differs; each is a name, a digest and a content."""
    (a, was, _), (b, now, _) = old, new
    data: dict[str, Any] = {"a": a, "b": b, "digests": [was, now], "checked_by": checker.by}
    try:
        changes, note = _differences(old, new, checker)
    except ConfigError as error:
        data["problems"] = error.problems
        return Report(ExitCode.REFUSED, "\n".join(map(line, error.problems)), data)
    head = f"{a} ({was[:8]}) to {b} ({now[:8]})"
    lines = [head, *([note] if note else []), *(shown_change(each) for each in changes)]
    if not changes:
        lines = [f"nothing differs: {head}"]
    return Report(ExitCode.DONE, "\n".join(lines), {**data, "changes": changes, "note": note})


def _differences(
    old: tuple[str, str, bytes], new: tuple[str, str, bytes], checker: Checker
) -> tuple[list[Change], str]:
    """What differs, and what has to be said of it. Raises ConfigError."""
    note = ""
    if checker.validates:
        try:
            candidates = [checker.check(raw, f"{name} {digest[:8]}") for name, digest, raw in (old, new)]
        except ConfigError as error:
            note = f"one of them is refused by {checker.by} today, so that they are compared as plain data: "
            note += line(error.problems[0])
        else:
            from confcast.config.diff import differences

            was, now = (each.config for each in candidates if each is not None)
            return differences(checker.codec, was, now), ""
    data = [checker.given(raw, f"{name} {digest[:8]}").read().data for name, digest, raw in (old, new)]
    return plain_differences(*data), note
