"""Decides of a recorded history whether each guarantee held, from the history alone.

It knows no module of confcast: what it takes a guarantee to be is written anew, from the design's own words, one rule a
function, each with the name of its source. What a rule excuses, it excuses by what was done (a process was stopped, a
disk was full), never by what confcast says of it.

    python -m tests.torture.checker FOLDER…

prints the violations of the history in each of these folders, and ends with 1 if there are any.

Rejected: the simulation's oracle (it sees messages and rows, which a site under torture does not show, and two proofs
with one root are one), and a model that is run beside the history (what may happen in what order depends on what no
record can show; each rule needs only a few records, and says what it cannot see).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.torture import (
    rules_calls,
    rules_end,
    rules_harmful,
    rules_kept_out,
    rules_provisional,
    rules_requests,
    rules_undo,
    rules_votes,
)
from tests.torture.history import Record, read
from tests.torture.rules_view import Rule, View, Violation

__all__ = ["RULES", "View", "Violation", "check"]

RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        rules_requests.one_version,
        rules_requests.never_down,
        rules_requests.one_content,
        rules_requests.only_valid,
        rules_requests.barrier,
        rules_requests.true_status,
        rules_requests.catches_up,
        rules_requests.committed_stays,
        rules_requests.reissued,
        rules_votes.agreed,
        rules_votes.own_veto,
        rules_votes.no_is_final,
        rules_calls.answered_once,
        rules_calls.names_everyone,
        rules_calls.not_forgotten,
        rules_calls.began_after,
        rules_calls.what_was_there,
        rules_calls.one_change_one_version,
        rules_provisional.in_time,
        rules_provisional.window_closes,
        rules_provisional.trial_ends,
        rules_provisional.few_try,
        rules_provisional.one_entity,
        rules_provisional.trial_dies_with_its_owner,
        rules_provisional.stays_undone,
        rules_harmful.sick_is_undone,
        rules_harmful.failing_is_undone,
        rules_harmful.deadly_is_undone,
        rules_harmful.probe_is_heard,
        rules_provisional.holds,
        rules_undo.named_version,
        rules_undo.what_was_good,
        rules_undo.trial_leaves,
        rules_kept_out.until_a_restart,
        rules_kept_out.guarded,
        rules_end.noticed,
        rules_end.served,
        rules_end.left_behind,
        rules_end.came_to_rest,
    )
}
"""By name. A rule's docstring says which guarantee it is, and what it cannot see."""


def check(records: Sequence[Record]) -> list[Violation]:
    """All violations, in the order of the rules. None: as far as this history shows it, every guarantee held."""
    view = View(records)
    return [Violation(name, what, shown) for name, rule in RULES.items() for what, shown in rule(view)]


def main(arguments: Sequence[str]) -> int:
    """Print what is wrong with the histories in these folders; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.checker", description="Decides of kept histories.")
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="KEPT/SERVER-SEED/history")
    folders = parser.parse_args(arguments).folders
    if empty := [str(each) for each in folders if not any(each.glob("*.jsonl"))]:
        parser.error(f"no history is in {', '.join(empty)}")
    wrong = [_print(each) for each in folders]
    return int(any(wrong))


def _print(folder: Path) -> bool:
    """Whether anything is wrong with the history in this folder."""
    records = read(folder)
    found = check(records)
    print(f"{folder}: {len(records)} records, {len(found)} violations")
    for violation in found:
        print(f"{violation.rule}: {violation.what}")
        for record in violation.records:
            print(f"    {record}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
