"""What a run was, in words and figures: for the one who reads it, and for the one who has to repeat it."""

from __future__ import annotations

import collections
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tests.torture.history import Act, Applied, Call, Left, Outcome, Process, Record, Request, Run, Written
from tests.torture.plan import EARLY

if TYPE_CHECKING:
    from tests.torture.checker import Violation

_IMPORT = 1.0
"""Seconds within which a worker has imported the application, for which it was not waited: most have, by then."""
_FEW = 10
"""Violations that are spelt out, and records of each."""


def report(history: Sequence[Record], violations: Sequence[Violation], folder: Path | None, command: list[str]) -> str:
    """The report of one run.

    Args:
        history: Its records.
        violations: What the checker says of them.
        folder: Where they are kept; None if they are not.
        command: What repeats the run.
    """
    run = next(each for each in history if isinstance(each, Run))
    lines = [
        f"seed {run.seed}, {run.seconds:g} s, {run.server}, {run.python}",
        f"acts: {_counted(_acts(history))}",
        f"contents: {_counted(_kind(each) for each in history if isinstance(each, Written))}",
        f"calls: {_counted(_called(each) for each in history if isinstance(each, Call))}",
        f"loads: {_counted(f'{each.origin} {each.result}' for each in history if isinstance(each, Outcome))}",
        f"requests: {requests(history)}",
        f"versions: {versions(history)}",
        f"processes: {_counted(f'{each.role} {each.what}' for each in history if isinstance(each, Process))}",
        f"early changes: {early(history)}",
        f"violations: {len(violations)}",
        *(line for each in violations[:_FEW] for line in _violation(each)),
    ]
    if folder is not None:
        lines.append(f"kept in: {folder}")
    return "\n".join([*lines, f"again: {shlex.join(command)}"])


def line(history: Sequence[Record], violations: Sequence[Violation]) -> str:
    """A run in one line."""
    run = next(each for each in history if isinstance(each, Run))
    acts = sum(isinstance(each, Act | Written) for each in history)
    calls = sum(isinstance(each, Call) for each in history)
    left = sum(isinstance(each, Left) for each in history)
    rules = f" ({_counted(each.rule for each in violations)})" if violations else ""
    return (
        f"{run.server} seed {run.seed} {run.seconds:g} s: {acts} acts, {calls} calls, {requests(history)}, "
        f"{versions(history)}, {left} left, {len(violations)} violations{rules}"
    )


def requests(history: Iterable[Record]) -> str:
    """How many, and what became of them."""
    all_of = [each for each in history if isinstance(each, Request)]
    answered = sum(each.status == 200 for each in all_of)
    failed = sum(each.status >= 500 for each in all_of)
    return f"{len(all_of)} requests ({answered} answered, {failed} with 500, {len(all_of) - answered - failed} lost)"


def versions(history: Iterable[Record]) -> str:
    """How many requests have seen, and workers have applied."""
    seen: set[int] = set()
    applied: set[int] = set()
    for each in history:
        if isinstance(each, Request):
            seen.update(look.version for look in each.seen)
        elif isinstance(each, Applied):
            applied.add(each.version)
    return f"{len(seen)} versions seen of {len(applied - {0})} applied"


def early(history: Iterable[Record]) -> str:
    """How many came as soon as a worker had attached; of these, while one imported, and answered before it had."""
    records = list(history)
    ready = [each.at for each in records if isinstance(each, Process) and each.what == "ready"]
    calls = [each for each in records if isinstance(each, Call) and each.arguments.get("reason") == EARLY]
    during = sum(any(each.began < at < each.at + _IMPORT for at in ready) for each in calls)
    before = sum(any(each.at < at < each.at + _IMPORT for at in ready) for each in calls)
    return f"{len(calls)}, {during} while a worker imported, {before} answered before it had"


def _acts(history: Iterable[Record]) -> Iterable[str]:
    return (f"{each.name} {each.role}".strip() for each in history if isinstance(each, Act))


def _kind(written: Written) -> str:
    veto, harm = (f"vetoed by {written.veto}" if written.veto else ""), written.harm
    return " ".join(part for part in (written.kind, veto, harm, f"by {written.how}") if part)


def _called(call: Call) -> str:
    return f"{call.door} {call.verb} {call.result or call.error.partition(':')[0] or 'done'}"


def _counted(names: Iterable[str]) -> str:
    counts = collections.Counter(names)
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "none"


def _violation(violation: Violation) -> list[str]:
    return [f"  {violation.rule}: {violation.what}", *(f"    {each}" for each in violation.records[:_FEW])]
