"""`confcast reload` has the owner load once more, and reports the result for every worker."""

from __future__ import annotations

import argparse
import time
from typing import Any

from confcast.cli import owners
from confcast.cli.arguments import duration
from confcast.cli.report import ExitCode, Report, failing_observers, line, problem_lines, table, when
from confcast.errors import OwnerUnavailable
from confcast.wire.messages import Change, ReloadEvent, ReloadResult, WorkerStatus

_UNDO_TAKES = 30.0
"""Seconds that an undo may take, so that it is waited for."""
_MOMENT, _PAUSE = 1.0, 0.02
"""Seconds that canaries have to take a version, and seconds between two looks."""


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    from confcast.wire import canary_flags  # imported here, as below: most commands import this file for its reports

    parser = commands.add_parser(
        "reload",
        help="load the sources once more, and say what became of it in every worker",
        description="Has the config owner load its sources once more, and waits for the outcome. Exits with 0 when "
        "what the sources say runs in every worker, changed or not, 1 when it was refused, or undone, 4 when it runs "
        "but not in every worker, 6 when it is on trial, 3 when no owner answered. With --confirm-within it is undone "
        "by itself, unless `confcast confirm` comes in time.",
    )
    owners.add_to(parser)
    parser.add_argument(
        "--timeout",
        type=duration,
        metavar="SECONDS",
        help="how long to wait, all in all (default: as long as the owner can need by its options)",
    )
    parser.add_argument("--reason", default="", help="why, for the history and the list of versions")
    parser.add_argument(
        "--force",
        action="store_true",
        help="load past a hold, which ends, past content that was undone, past guards and without a trial; give a "
        "--reason",
    )
    canary_flags.add_to(parser, seconds=duration)
    add_guards_to(parser)
    add_window_to(parser)
    parser.add_argument(
        "--wait",
        action="store_true",
        help="wait on, beyond --timeout, until it is committed, and can't be undone by itself any more, or is undone; "
        "report that",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run, usage_error=parser.error)


def add_window_to(parser: argparse.ArgumentParser) -> None:
    """Add the option that opens a window."""
    help_ = "put back what was good before, unless `confcast confirm` comes in this time (90, 60s, 10m, 2h)"
    parser.add_argument("--confirm-within", type=duration, default=0.0, metavar="10m", help=help_)


def add_guards_to(parser: argparse.ArgumentParser) -> None:
    """Add the option that lets guards trip."""
    help_ = "let this guard trip, as its refusal prints it (shrinks:upstreams); may be given again"
    parser.add_argument("--allow", action="append", default=[], metavar="GUARD", help=help_)


def run(options: argparse.Namespace) -> Report:
    """Ask for a reload, and wait. Raises OwnerUnavailable, or ConfcastError if the owner refuses to answer."""
    from confcast.wire import canary_flags

    if options.force and not options.reason.strip():
        options.usage_error("--force wants a --reason, for the one who asks later why a hold was passed")
    try:
        canary = canary_flags.taken(vars(options))
    except ValueError as error:
        options.usage_error(str(error))
    owner = owners.find(options)
    how = {"force": options.force, "confirm_within": options.confirm_within, "allow": tuple(options.allow)}
    event = owner.reload_by_command(options.timeout, options.reason, canary=canary, **how)
    waits = options.wait and (event or event.result is ReloadResult.ON_TRIAL)
    return outcome(owner, waited_for(owner, event) if waits else event)


def waited_for(owner: owners.OwnerClient, event: ReloadEvent) -> ReloadEvent:
    """What became of the version of this event: good or gone. It waits as long as that may take."""
    until = 0.0
    while True:
        left = max(0.0, until - time.time()) + _UNDO_TAKES
        ended = owner.within(left, lambda seconds: owner.wait(event.version, timeout=seconds))
        if ended.result is not ReloadResult.OWNER_UNAVAILABLE or (later := _deadline(owner)) <= until:
            return ended
        until = later  # a trial that is prolonged, or the probation after it


def _deadline(owner: owners.OwnerClient) -> float:
    """Until when something is provisional, in seconds since 1970; 0.0 if nothing is, or no owner answers."""
    try:
        return owner.within(_UNDO_TAKES, lambda _: owner.get_stats()).get("deadline") or 0.0
    except OwnerUnavailable:
        return 0.0


def outcome(owner: owners.OwnerClient, event: ReloadEvent) -> Report:
    """The report on this outcome, with what the owner says now of its workers, and of what is provisional."""
    stats = _stats(owner, event)  # first: it waits for the canaries
    return report(event, verdicts(event, _workers(owner)), stats=stats)


def _stats(owner: owners.OwnerClient, event: ReloadEvent) -> dict[str, Any]:
    """The totals, if the report on this event needs them, and the owner answers.

    Canaries have a moment to take what is on trial, so that they can be named.
    """
    if event.confirm_by is None and event.result is not ReloadResult.ON_TRIAL:
        return {}
    end = time.monotonic() + _MOMENT
    try:
        while _has_no_canary(stats := owner.get_stats(), event) and time.monotonic() < end:
            time.sleep(_PAUSE)
    except OwnerUnavailable:
        return {}
    return stats


def _has_no_canary(stats: dict[str, Any], event: ReloadEvent) -> bool:
    trial = stats.get("trial") or {}
    return bool(trial.get("version") == event.version and trial["by"] == "worker" and not trial["workers"])


def verdicts(event: ReloadEvent, now: list[WorkerStatus] | None) -> list[WorkerStatus]:
    """Every worker, by pid: as the outcome lists it, else as it is now, else (None: not known) as it was applied."""
    applied = [WorkerStatus(pid, event.version, "current") for pid in event.applied]
    known = {worker.pid: worker for worker in (applied if now is None else now)}
    known.update((worker.pid, worker) for worker in event.lagging)
    return [known[pid] for pid in sorted(known)]


def report(
    event: ReloadEvent, workers: list[WorkerStatus], *, headline: str = "", stats: dict[str, Any] | None = None
) -> Report:
    """The report on the outcome, for a person and for a program.

    `headline`: in the place of the usual one. `stats`: the owner's totals, where something is provisional.
    """
    lines = [headline or _headline(event), *_trial(event, stats or {}), *_window(event, stats or {})]
    lines += [f"  {_how(event)}{shown_change(change)}" for change in event.changes]
    lines += [f"  waits for a full reload: {shown_change(change)}" for change in event.pending]
    lines += [each for problem in event.problems for each in problem_lines(problem, "  ")]
    lines += [f"  {line(each)}" for each in event.notes]
    lines += [f"  {line(each)}" for each in event.evidence if not event.problems]
    if workers:
        lines += table(("PID", "VERSION", "STATE", "REASON"), map(_row, workers))
        lines += failing_observers(workers)
    elif event.result is not ReloadResult.OWNER_UNAVAILABLE:  # otherwise the workers are not known
        lines.append("no workers")
    data = {name: getattr(event, name) for name in event.__struct_fields__}
    return Report(_exit(event), "\n".join(lines), {**data, "workers": workers})


def _how(event: ReloadEvent) -> str:
    """What became of the changes: applied without a word, also by an undo."""
    if event.dry_run:
        return "would apply: " if event else "not applied: "
    if event.result is ReloadResult.ON_TRIAL:
        return "on trial: "
    return "" if event or event.result is ReloadResult.UNDONE else "not applied: "


def _trial(event: ReloadEvent, stats: dict[str, Any]) -> list[str]:
    """The lines for a version that is on trial after it: where, until when, and what to type."""
    if event.result is not ReloadResult.ON_TRIAL:
        return []
    from confcast.cli import provisional  # imported here: most reloads have no use for it

    number = event.version
    usual = f"`confcast confirm {number}` commits it, `confcast rollback` takes it back"
    told = provisional.told(stats) if (stats.get("trial") or {}).get("version") == number else [usual]
    return [f"  {each}" for each in (*told, f"`confcast wait {number}` waits until it is good or gone")]


def _window(event: ReloadEvent, stats: dict[str, Any]) -> list[str]:
    """The lines for a window that is open after it."""
    if event.confirm_by is None or event.result is ReloadResult.ON_TRIAL:
        return []
    window = stats.get("window")
    runs_good = window is not None and window["fallback"] == event.version
    if runs_good and event.result is ReloadResult.UNCHANGED:  # as where the watcher has loaded the edit before
        return [
            f"  version {event.version} counts as good, and stays: its content was loaded before this command",
            f"  what is changed until {when(event.confirm_by)} is undone then, unless you type `confcast confirm`",
        ]
    keep = f"unless it is confirmed: `confcast confirm {event.version}`"
    return [f"  what was good before is put back at {when(event.confirm_by)}, {keep}"]


def _headline(event: ReloadEvent) -> str:
    version = f"version {event.version}"
    if event.dry_run and event.result is not ReloadResult.OWNER_UNAVAILABLE:
        would = "a reload would change nothing" if event.result is ReloadResult.UNCHANGED else "it would be applied"
        return f"{event.result}: {would if event else 'it would be refused'}; nothing was changed, {version} runs"
    if event.result is ReloadResult.ON_TRIAL:
        version += f" is on trial, version {event.previous_version} runs on"
        return f"{event.result}: {version} ({event.duration_ms:.1f} ms)"
    if event.result is ReloadResult.UNDONE:
        version = f"version {event.previous_version} -> {event.version}, what was good before has been put back"
    elif event and event.origin == "confirm" and event.version == event.previous_version:
        version = f"{version} is confirmed, and stays"
    elif event and event.version != event.previous_version:
        version = f"version {event.previous_version} -> {event.version}"
    elif event.result is ReloadResult.OWNER_UNAVAILABLE:
        return f"{event.result}: what became of it is unknown"
    elif not event:
        version = f"nothing was changed, version {event.version} runs on"
    if event.result is ReloadResult.UNCHANGED and event.lagging:
        version += ", not in every worker"
    return f"{event.result}: {version} ({event.duration_ms:.1f} ms)"


def shown_change(change: Change) -> str:
    """A change on one line; one without values stands for others."""
    if change.old is change.new is None:  # a change without values stands for many
        return line(change.key)
    if change.note and change.old == change.new:  # a file's content, whose path is the same
        return line(f"{change.key}: {change.note}")
    return line(f"{change.key}: {change.old!r} -> {change.new!r}{f' ({change.note})' if change.note else ''}")


def _row(worker: WorkerStatus) -> tuple[object, ...]:
    return worker.pid, worker.version, worker.state, worker.reason


def _exit(event: ReloadEvent) -> ExitCode:
    """The exit code. An unchanged reload may list workers, if the watcher's load of the edit ended without them."""
    if event.result is ReloadResult.OWNER_UNAVAILABLE:
        return ExitCode.NO_OWNER
    if event.result is ReloadResult.CONFLICT:
        return ExitCode.CONFLICT
    if event.result is ReloadResult.ON_TRIAL and not event.dry_run:
        return ExitCode.ON_TRIAL
    if not event:
        return ExitCode.REFUSED
    return ExitCode.NOT_BY_ALL if event.lagging or event.result is ReloadResult.PARTIAL else ExitCode.DONE


def _workers(owner: owners.OwnerClient) -> list[WorkerStatus] | None:
    """The workers; None if the owner, which has just answered, does not answer any more."""
    try:
        return owner.workers()
    except OwnerUnavailable:
        return None
