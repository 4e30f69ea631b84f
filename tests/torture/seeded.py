"""Bugs that the rig must find: each breaks a guarantee of a whole site, and is put into a copy of the package.

Realistic ones: a condition that looks redundant, a forgotten case, a set that is taken from the wrong side. `text`
occurs once in its file, so that a bug whose place was rewritten is noticed at once. What finds it is a run of the rig,
and the checker's name for what it saw; the phases of its plan are those in which it can show, some of them made for
that (`PHASES`), so that a minute is enough. Where it shows by one act alone, `needs` says by which: the run's seed is
the first one whose plan has that.

    python -m tests.torture.seeded --phases naps …

is the rig's command with these phases, too.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.torture import plan
from tests.torture.options import Options
from tests.torture.plan import Phase, Step, Terrain

PHASES = {
    "naps": Phase(2.0, {"stopped": 4, "set": 4}),
    "rollbacks": Phase(2.0, {"rollback": 2, "write": 5}),
    "trials_and_deaths": Phase(0.7, {"trial": 3, "kill": 3}),
    "tears": Phase(1.5, {"write": 8, "reload": 3, "tear_journal": 1}),
    "few_trials": Phase(0.5, {"trial": 1}),
    "undone": Phase(1.5, {"harmful": 2, "reload": 4, "hups": 1}),
}
"""Phases of a plan, beside those that every run may have."""
plan.PHASES.update(PHASES)

Plan = Sequence[Step]
_FILE = ("write", "break_file", "cut", "complete", "rename_away", "rename_back", "delete", "make_unreadable", "touch")
_DISTURB = ("kill", "stop", "go_on", "fill_disk", "free_disk", "tear_journal", "remove_files")
_ALONE = 4.5
"""Seconds after an edit without another act: somewhat more than the checker gives the watcher."""


def anything(steps: Plan) -> bool:
    return True


def alone(steps: Plan, how: str) -> list[Step]:
    """The new contents that are written in this way, and left alone for long enough to be noticed."""
    acts = [step for step in steps if step.act in (*_FILE, *_DISTURB)]
    ends = max((step.at for step in steps), default=0.0)
    pairs = zip(acts, (*(step.at for step in acts[1:]), ends + _ALONE), strict=True)
    return [
        step
        for step, after in pairs
        if step.act == "write" and step.arguments["how"] == how and after - step.at > _ALONE
    ]


def rewrites_alone(steps: Plan) -> bool:
    return len(alone(steps, "rewrite")) > 1


def rewrites_through_a_link(steps: Plan) -> bool:
    """Whether a content is written in place where the file is a link, and left alone."""
    found = 0
    for step in alone(steps, "rewrite"):
        before = [
            each for each in steps if each.at < step.at and each.act in _FILE and each.arguments.get("how") != "rewrite"
        ]
        links = [each for each in before if each.act not in ("cut", "complete")][-1:]
        found += bool(links) and links[0].arguments.get("how") == "data"
    return found > 0


def damages_the_log_of_a_journal(steps: Plan) -> bool:
    """Whether the journal's log is damaged after an owner has lived for some time, and has committed something."""
    tears = [step for step in steps if step.act == "tear_journal"]
    writes = [step.at for step in steps if step.act == "write" and not step.arguments["veto"]]
    found = 0
    for before, tear in itertools.pairwise([Step(at=0.0, act=""), *tears]):
        lived = [at for at in writes if before.at + 4.0 < at < tear.at - 0.5]
        found += "log" in str(tear.arguments["how"]) and len(lived) > 1
    return found > 1


def tries_by_entity(steps: Plan) -> bool:
    """Whether trials by entity go on for some time, beside which nothing else is done."""
    acts = [step for step in steps if step.act in (*_FILE, *_DISTURB) or step.act == "call"]
    pairs = itertools.pairwise(sorted(acts, key=lambda step: step.at))
    tried = [step for step, after in pairs if step.arguments.get("canary_by") == "entity" and after.at - step.at > 1.5]
    return sum(float(step.arguments["canary_seconds"] or 0) > 1.0 for step in tried) > 2


def sets_beside_a_stopped_worker(steps: Plan) -> bool:
    """Whether values are set, and the caller answered, while one worker is stopped and the owner is not."""
    ends = {step.arguments["pair"]: step.at for step in steps if step.act == "go_on"}
    stops = [(step.role, step.at, ends[step.arguments["pair"]]) for step in steps if step.act == "stop"]
    calls = [step for step in steps if step.act == "call" and step.arguments["verb"] == "set"]
    sets = [step.at for step in calls if step.arguments["door"] != "cli" and not step.arguments.get("veto")]
    found = 0
    for role, began, ended in stops:
        alone = not any(other != "worker" and at < ended and until > began - 1.0 for other, at, until in stops)
        found += role == "worker" and alone and any(began < at and at + 2.1 < ended for at in sets)
    return found > 1


def kills_the_owner_in_trials(steps: Plan) -> bool:
    """Whether an owner that has lived for some time is killed in a trial, and nobody does anything while it is dead."""
    deaths = [step.at for step in steps if step.act == "kill" and step.role == "owner"]
    calls = [step for step in steps if step.act == "call"]
    asked = [each.at for each in calls if each.arguments["verb"] == "resume"]
    touched = [*asked, *(each.at for each in steps if each.act in _FILE)]
    tried = [
        (each.at, float(each.arguments["canary_seconds"] or 0)) for each in calls if "canary_seconds" in each.arguments
    ]
    found = 0
    for at in deaths:
        in_time = any(began + 0.6 < at < began + seconds - 0.3 for began, seconds in tried)
        in_peace = not any(at - 0.3 < each < at + 4.0 for each in touched)
        first = not any(at - 6.0 < each < at or at < each < at + 4.0 for each in deaths)
        found += in_time and in_peace and first
    return found > 1


@dataclass(frozen=True)
class Bug:
    """One replacement in one file of the package, and the run that finds it.

    Attributes:
        area: `owner`, `replica`, `journal`, `watcher`, `trial` or `undo`.
        name: What it does, in a few words.
        breaks: The guarantee that no longer holds.
        file: Under the package's folder.
        text: What is replaced.
        instead: What stands there then.
        rules: The checker's rules of which one at least must say so.
        phases: Of the plan, with commas between them.
        seconds: How long the site is tortured.
        server: Which one.
        needs: Whether a plan has what shows the bug.
    """

    area: str
    name: str
    breaks: str
    file: str
    text: str
    instead: str
    rules: tuple[str, ...]
    phases: str
    seconds: float = 40.0
    server: str = "gunicorn"
    needs: Callable[[Plan], bool] = anything

    @property
    def seed(self) -> int:
        """The first one whose plan has what shows the bug."""
        root, phases = os.geteuid() == 0, tuple(self.phases.split(","))
        terrain = Terrain(root=root, silence=Options().vote_timeout, phases=phases)
        return next(seed for seed in itertools.count(1) if self.needs(plan.plan(seed, self.seconds, terrain)))

    @property
    def options(self) -> list[str]:
        """Those of the command that finds it."""
        run = ["--seconds", f"{self.seconds:g}", "--seed", str(self.seed), "--server", self.server]
        return [*run, "--phases", self.phases]


BUGS = (
    Bug(
        "owner",
        "a worker that was passed over is not named",
        "G3: after a success, every worker that is not named shows the version",
        "owner/core/members.py",
        "if member.pid in self.excused or member.declined is not None]\n",
        "if member.declined is not None]\n",
        ("names_everyone", "barrier"),
        "naps",
        needs=sets_beside_a_stopped_worker,
    ),
    Bug(
        "owner",
        "a no counts as a vote",
        "G1: one no leaves everything as it was",
        "owner/core/member_inputs.py",
        "        elif vote.ok:\n            member.vote = True\n",
        "        elif vote.ok or not self._proposal.dry:\n            member.vote = True\n",
        ("no_is_final", "own_veto", "agreed"),
        "edits",
    ),
    Bug(
        "replica",
        "what is read in a pin is the newest",
        "G2: one request, one version",
        "worker/pinning.py",
        "            return self._snapshot.config\n        return pinned.config\n",
        "            return self._snapshot.config\n        return self._snapshot.config\n",
        ("one_version",),
        "edits",
    ),
    Bug(
        "replica",
        "an Install of a newer version is taken for the repeat of what is held",
        "G3: whoever was passed over has the newest version when it wakes",
        "worker/connection/machine.py",
        "if held is not None and frame.version == held.version and frame.digest == held.digest:",
        "if held is not None and frame.version >= held.version:",
        ("true_status", "barrier", "came_to_rest"),
        "kills,verbs",
    ),
    Bug(
        "journal",
        "what is written without a version is never taken into SQLite",
        "U7: the next owner knows of a trial, and undoes it",
        "owner/store/entries.py",
        "        if self.state is not None:\n            put_state(",
        "        if self.state is not None and self.versions:\n            put_state(",
        ("trial_dies_with_its_owner", "holds"),
        "trials_and_deaths",
        needs=kills_the_owner_in_trials,
    ),
    Bug(
        "journal",
        "the next owner believes a journal whose log was damaged, and not the snapshot file",
        "G6: a committed version never un-happens",
        "owner/store/recovery.py",
        "    elif restarted:\n        catch_up(journal, folder)\n",
        "",
        ("committed_stays", "reissued", "barrier"),
        "tears",
        needs=damages_the_log_of_a_journal,
    ),
    Bug(
        "watcher",
        "a file that is written in place makes no event",
        "G5: an edit is noticed, however it was written",
        "owner/watch/dir_events.py",
        "_ANYTHING = 0xFCE\n",
        "_ANYTHING = 0xFC0\n",
        ("noticed",),
        "edits",
        needs=rewrites_alone,
    ),
    Bug(
        "watcher",
        "where a path has a link, the directory that holds the file is not watched",
        "G5: an edit is noticed, whatever leads to the file",
        "owner/watch/watched_dirs.py",
        "    return found | {here}\n\n\ndef _target",
        "    return found or {here}\n\n\ndef _target",
        ("noticed",),
        "edits",
        needs=rewrites_through_a_link,
    ),
    Bug(
        "trial",
        "each worker chooses entities by a salt of its own",
        "E9: one entity, one version, in every worker",
        "worker/connection/attachment.py",
        "self._trial = Trial(snapshot, slot.share, slot.salt, begun=slot.begun)",
        "self._trial = Trial(snapshot, slot.share, f'{slot.salt}/{os.getpid()}', begun=slot.begun)",
        ("one_entity",),
        "few_trials",
        needs=tries_by_entity,
    ),
    Bug(
        "trial",
        "every worker is a canary",
        "E1: a trial by worker is run by so many workers, and never by all",
        "owner/core/canaries.py",
        "        return self.by_entity or member.shows == self.trial.version\n",
        "        return True\n",
        ("few_try",),
        "trials",
    ),
    Bug(
        "undo",
        "what was undone is forgotten by the next reload",
        "U1: it is put to no worker until it changes, or a person resumes",
        "owner/core/operator_state.py",
        "            if digest == (each.digest or refused) or (sources and sources == each.sources):\n",
        "            if digest == each.sources:\n",
        ("stays_undone",),
        "undone",
    ),
    Bug(
        "undo",
        "an edit ends a hold",
        "D5: what a person went back to stays until a person resumes",
        "owner/core/operations.py",
        "        return self.operator.is_held and self._proposal.follows_sources and not self._proposal.resumes\n",
        "        return self.operator.is_held and self._requests.called and not self._proposal.resumes\n",
        ("holds",),
        "rollbacks",
    ),
)


if __name__ == "__main__":
    from tests.torture.__main__ import main

    sys.exit(main(sys.argv[1:]))
