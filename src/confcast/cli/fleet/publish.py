"""`confcast fleet publish` puts a configuration under a key, and carries its rollout on until it ends.

The file is validated first: nothing is published that the loader refuses. What follows is told line by line. Ctrl-C
ends this process, not the rollout: that stays in the stage where it is.
"""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from confcast.cli.arguments import duration
from confcast.cli.check import refused
from confcast.cli.fleet import content, engine_options
from confcast.cli.report import ExitCode, Report
from confcast.errors import ConfcastError, ConfigError

if TYPE_CHECKING:
    from confcast.fleet.engines.link import Link
    from confcast.fleet.head import Head, Rollout
    from confcast.fleet.publishing import Published
    from confcast.fleet.rollout.controller import Event

_STAGES = "1 host, 10%, 100%"
_INTERRUPTED = (
    "interrupted; a rollout stays in the stage where it is, and nothing widens by itself; go on with `confcast fleet "
    "publish --attach`, or end it with `confcast fleet rollback`"
)
_WORDS = {
    "unchanged": "unchanged",
    "first": "published",
    "rollout": "published",
    "going on": "unchanged",
    "forced": "published",
    "rolled back": "rolled back",
    "confirmed": "confirmed",
}


def add_to(commands: Any) -> None:
    """Add the verb and its options."""
    parser = commands.add_parser(
        "publish",
        help="validate a file, and publish it in stages",
        description="Validates a file, publishes it under a key, and carries its rollout on: a stage is passed by "
        "hosts that are good, after its bake time, and never by silence; what hosts refuse is stopped by itself. "
        "Ctrl-C leaves the rollout in the stage where it is. Exits with 0 when it is stable on all hosts, with 1 when "
        "it was refused or stopped, with 5 when somebody else has published.",
    )
    parser.add_argument("file", nargs="?", metavar="FILE", help="what to publish; left out with --attach")
    engine_options.add_to(parser)
    engine_options.add_change_to(parser)
    content.add_to(parser)
    _add_stages_to(parser)
    parser.add_argument("--force", action="store_true", help="to all hosts at once, without stages; wants a --reason")
    parser.add_argument("--attach", action="store_true", help="go on with the rollout whose publisher is gone")
    parser.add_argument("--json", action="store_true", help="print one JSON document on each line")
    parser.set_defaults(run=run, interrupted=_INTERRUPTED)


def _add_stages_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stages",
        type=_stages,
        metavar="LIST",
        help=f"how many hosts get it, one stage after another; default: {_STAGES.replace('%', '%%')!r}",
    )
    parser.add_argument("--bake", type=duration, metavar="60s", help="how long a stage has to stay good; default: 60s")
    parser.add_argument(
        "--min-acks",
        type=_number(1),
        metavar="N",
        help="how many hosts of a stage have to be good, if it has so many; default: 20",
    )
    parser.add_argument(
        "--max-refused",
        type=_number(0),
        metavar="N",
        help="how many hosts may refuse it, take it back or be lost; default: 0",
    )
    parser.add_argument(
        "--max-lag", type=duration, metavar="5s", help="how long a host may take to answer; default: 5s"
    )
    parser.add_argument(
        "--rings",
        type=_rings,
        action="append",
        default=[],
        metavar="LABEL=VALUE",
        help="hosts with this label come first, as a stage of their own; others after a comma, or given again, follow",
    )


def run(options: argparse.Namespace) -> Report:
    """Validate, publish, and carry the rollout on. Raises Unreachable if no engine answers."""
    from confcast.fleet.engines.engine import MOST_PAYLOAD, TooLarge

    _check(options)
    link, key = engine_options.linked(options), engine_options.key_of(options)
    if options.attach:
        return Report(ExitCode.DONE, "", {}, _lines(_attached(options, link)))
    given = _read(options)
    if len(given) > MOST_PAYLOAD:
        text = f"{options.file} is larger than {MOST_PAYLOAD} bytes, the most that a fleet carries"
        return Report(ExitCode.DONE, "", {}, iter([engine_options.failed(TooLarge(text))]))
    try:
        checker = content.Checker(options, key)
        checker.check(given, options.file)
    except ConfigError as error:
        return Report(ExitCode.DONE, "", {}, iter([refused(error.problems)]))
    return Report(ExitCode.DONE, "", {}, _lines(_published(options, link, given, checker.by)))


def _read(options: argparse.Namespace) -> bytes:
    """The file's content, up to one byte more than a fleet carries. Exits with 2 if it can't be read."""
    from confcast.fleet.engines.engine import MOST_PAYLOAD

    try:
        with Path(options.file).open("rb") as file:
            given = file.read(MOST_PAYLOAD + 1)  # a pipe may have no end
    except OSError as error:
        options.usage_error(f"{options.file} can't be read: {error.strerror}")
    return given


def _check(options: argparse.Namespace) -> None:
    """Exits with 2 if options contradict each other."""
    how = {
        "--stages": options.stages,
        "--bake": options.bake,
        "--min-acks": options.min_acks,
        "--max-refused": options.max_refused,
        "--max-lag": options.max_lag,
        "--rings": options.rings or None,
    }
    given = [name for name, value in how.items() if value is not None]
    if options.attach and (options.file or options.force or given or options.expect):
        options.usage_error("--attach goes on with what was published: leave FILE, --force, --expect and stages out")
    if not options.attach and not options.file:
        options.usage_error("give the FILE to publish, or --attach")
    if options.force and given:
        options.usage_error(f"--force goes to all hosts at once: leave {', '.join(given)} out")
    if options.force and not options.reason:
        options.usage_error("--force goes to all hosts at once, without a stage that could stop it: give a --reason")


def _rollout(options: argparse.Namespace) -> Rollout | None:
    from confcast.fleet.head import Rollout
    from confcast.fleet.rollout.stages import parse_stages

    if options.force:
        return None
    names = ("bake", "min_acks", "max_refused", "max_lag")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return Rollout(options.stages or parse_stages(_STAGES), rings=sum(options.rings, ()), **given)


# ---- what is told


def _lines(reports: AsyncIterator[Report]) -> Iterator[Report]:
    """The reports as they come, out of a loop of this process."""
    from confcast.wire.interruptible import Interruptible
    from confcast.wire.patient_loops import abort_transports, new_event_loop

    async def next_one() -> Report | None:
        return await anext(reports, None)

    async def end() -> None:
        await reports.aclose()  # type: ignore[attr-defined]
        await abort_transports()

    with Interruptible(new_event_loop) as loop:
        try:
            while (report := loop.run(next_one)) is not None:
                yield report
        finally:
            loop.run(end, closes=True)


async def _published(options: argparse.Namespace, link: Link, given: bytes, by: str) -> AsyncIterator[Report]:
    from confcast.fleet import publishing

    async with link:
        try:
            done = await publishing.publish(link, given, engine_options.author_of(options), _rollout(options))
        except ConfcastError as error:
            yield engine_options.failed(error)
            return
        report = outcome(done)
        yield report._replace(text=f"{report.text}\nchecked    by {by}", data={**report.data, "checked_by": by})
        if done.outcome in ("rollout", "going on"):
            async for each in _carried_on(options, link, done.head):
                yield each


async def _attached(options: argparse.Namespace, link: Link) -> AsyncIterator[Report]:
    from confcast.fleet.engines.link import patiently
    from confcast.fleet.head import decode
    from confcast.fleet.publishing import WITHIN, Refused

    async with link:
        try:
            raw = await patiently(link, WITHIN, lambda store: store.head())
            head = None if raw is None else decode(raw)
            if head is None or head.next is None or head.rollout is None:
                raise Refused("nothing is being rolled out, so there is nothing to go on with")
        except ConfcastError as error:
            yield engine_options.failed(error)
            return
        async for each in _carried_on(options, link, head):
            yield each


async def _carried_on(options: argparse.Namespace, link: Link, head: Head) -> AsyncIterator[Report]:
    from confcast.fleet.rollout.controller import Controller

    controller = Controller(link, engine_options.author_of(options).by)
    async for event in controller.run(head):
        yield await _told(event, link)


async def _told(event: Event, link: Link) -> Report:
    data = {"outcome": event.kind, "text": event.text, "head": event.head, "progress": event.progress}
    text = f"{event.kind:9}  {event.text}"
    if event.kind == "stopped":
        return Report(ExitCode.REFUSED, f"{text}; all hosts go back to what was stable", data)
    if event.kind == "promoted":
        return Report(ExitCode.DONE, f"{text}; it is stable for all hosts", data)
    if event.kind != "stood down":
        return Report(ExitCode.DONE, text, data)
    code = {"promoted": ExitCode.DONE, "replaced": ExitCode.CONFLICT}.get(event.end, ExitCode.REFUSED)
    winner = await _newest(link)
    if winner is not None:
        text += f"\nwinner     {engine_options.described(winner)}"
    return Report(code, text, {**data, "end": event.end, "winner": engine_options.as_data(winner)})


async def _newest(link: Link) -> Any:
    from confcast.fleet.publishing import history

    try:
        found = await history(await link.store(), 1)
    except ConfcastError:  # it is only told
        return None
    return found[0] if found else None


def outcome(done: Published) -> Report:
    """The report on a change of a head."""
    replaced = f" (replaces {done.replaced})" if done.replaced else ""
    text = f"{_WORDS[done.outcome]:9}  {done.id}: {done.detail}{replaced}"
    data = {"outcome": done.outcome, "head": done.id, "replaced": done.replaced, "detail": done.detail}
    if done.warning:
        text, data = f"{text}\nwarning    {done.warning}", {**data, "warning": done.warning}
    return Report(ExitCode.DONE, text, data | engine_options.head_data(done.head))


# ---- types of options


def _stages(text: str) -> tuple[str, ...]:
    from confcast.fleet.rollout.stages import parse_stages

    try:
        return parse_stages(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _rings(text: str) -> tuple[str, ...]:
    from confcast.fleet.rollout.stages import parse_ring

    try:
        return tuple(parse_ring(each.strip()) for each in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _number(least: int) -> Any:
    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) < 10**6:
            raise argparse.ArgumentTypeError(f"{text!r} is no number of at least {least}")
        return int(text)

    return number
