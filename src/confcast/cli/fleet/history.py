"""`confcast fleet history` lists what was published under a key, by whom and why, newest first."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from confcast.cli.fleet import engine_options
from confcast.cli.report import ExitCode, Report, table, when

if TYPE_CHECKING:
    from confcast.fleet.engines.engine import Store
    from confcast.fleet.engines.link import Link
    from confcast.fleet.publishing import Version

_USUALLY = 20


def add_to(commands: Any) -> None:
    """Add the verb and its options."""
    parser = commands.add_parser(
        "history",
        help="list what was published, by whom and why",
        description="Lists the audit trail of a key, newest first: each head that was published, what was done, by "
        "whom and why. An engine keeps what it has room for.",
    )
    parser.add_argument("-n", type=_number, default=_USUALLY, metavar="N", help=f"how many; default: {_USUALLY}")
    engine_options.add_to(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Report:
    """Ask the engine, and report. Raises Unreachable if it does not answer."""

    async def ask(link: Link) -> Report:
        from confcast.fleet.engines.link import patiently
        from confcast.fleet.head import BadHead, id_of
        from confcast.fleet.publishing import LOOK_WITHIN, history

        async def look(store: Store) -> Report:
            raw, versions = await store.head(), await history(store, options.n)
            try:
                present = "" if raw is None else id_of(raw)
            except BadHead:
                present = "which is no head of confcast"
            return report(versions, present)

        return await patiently(link, LOOK_WITHIN, look)

    return engine_options.asked(options, ask)


def report(versions: list[Version], present: str) -> Report:
    """The report on these entries; `present` is the id of the head that is there, empty for none."""
    data = {"head": present, "versions": [engine_options.as_data(each) for each in versions]}
    if not versions:
        return Report(ExitCode.DONE, "nothing was published under this key", data)
    lines = table(("", "HEAD", "WHEN", "WHAT", "STABLE", "NEXT", "BY", "WHY"), map(_row(present), versions))
    if present not in [each.id for each in versions]:
        what = f"what is there, {present}, is not in the audit trail" if present else "there is no head now"
        lines.append(f"{what}: it was deleted, or written by something else")
    return Report(ExitCode.DONE, "\n".join(lines), data)


def _row(present: str) -> Any:
    def row(version: Version) -> tuple[object, ...]:
        entry, head = version.entry, version.entry.head
        mark = "*" if version.id == present else ""
        by_itself = entry.what in ("widen", "promote")  # its reason is the rollout's, which another line has
        why = (by_itself and entry.detail) or head.why or entry.detail
        return mark, version.id, when(head.at), entry.what, head.stable[:8], (head.next or "")[:8], head.by, why

    return row


def _number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 10000")
    return int(text)
