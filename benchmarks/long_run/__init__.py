"""A long run: what tens of thousands of reloads leave behind, where everything is there that a server may have.

    scripts/bench --long-run [RELOADS] [--seed N] [--json FILE]

gunicorn with four workers, which are replaced after so many requests, and some of which are killed; observers, things
that are derived, a vote, health checks; the file and a fleet's engine through a gateway as sources; `confcast admin`
with an open event stream, metrics, a webhook. Reloads of all kinds go on (`acts.py`), and requests with them.

At each hundredth of a run it comes to rest, and is looked at (`looks.py`): a line says what was there. At the end
`verdict.py` judges, and the exit status is 1 if anything has grown. The file of `--json` has the looks, and is written
anew at each: a run that was ended early can be judged up to there by `--from FILE`.

Rejected: a run of what a client sees alone (`soak.py` is that: a manager and four workers), and one look at its end
(what grows would be beside what has just been made).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.long_run import verdict
from benchmarks.long_run.acts import REQUESTS, Acts, plan
from benchmarks.long_run.looks import Look
from benchmarks.long_run.requests import Requests, asking
from benchmarks.long_run.site import JUDGED, WORKERS, Site, running
from benchmarks.rows import Row, exactly, table

RELOADS = 100_000
LOOKS = 100
_LIVES = 8
"""How often a worker is replaced in a run, after its number of requests."""
_LONG_LIFE = 6000
"""Reloads that a worker lives at the least, in a run that has as many twice: before, it is not what it will be."""
_KILL_EACH = 4
"""After how many looks a worker is killed, always the youngest."""


class Run(msgspec.Struct):
    """What was measured.

    Attributes:
        reloads: Of the whole run, as it was asked for.
        seed: Of the order of its acts.
        seconds: How long it has taken so far.
        looks: The first before anything was done.
        results: How often acts ended how.
        others: Outcomes that were none of an act's own.
        answered, lost, torn: Requests.
        killed: Workers.
        told: Messages that the receiver of webhooks has got.
    """

    reloads: int
    seed: int
    seconds: float = 0.0
    looks: list[Look] = []
    results: dict[str, int] = {}
    others: list[str] = []
    answered: int = 0
    lost: int = 0
    torn: int = 0
    killed: int = 0
    told: int = 0

    def rows(self) -> list[Row]:
        """The verdict."""
        others = exactly("acts that ended otherwise than they should", len(self.others), 0)
        return [*verdict.judge(self.looks, JUDGED), exactly("requests that saw two versions", self.torn, 0), others]


def measure(reloads: int, seed: int, noted: Callable[[Run], object], looks: int = LOOKS) -> Run:
    """A whole run with so many looks; `noted` is called after each, and after the one before the first reload."""
    run, began = Run(reloads, seed), time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="confcast-long-")))
        site = stack.enter_context(running(folder, _max_requests(reloads)))
        requests = stack.enter_context(asking(lambda: site.port))
        acts, todo = Acts(site, requests), plan(seed)
        for number in range(looks + 1):
            due = reloads * number // looks
            while _done(site) < due:
                for _ in range(max(1, (due - _done(site)) // 2)):  # an act makes several reloads at the most
                    acts.do(next(todo))
            if number and number % _KILL_EACH == 0:
                site.kill_the_newest_worker()
                run.killed += 1
            requests.await_rest()
            run.looks.append(site.look(_done(site)))
            _take(run, acts, requests, site)
            run.seconds = time.monotonic() - began
            noted(run)
    return run


def _max_requests(reloads: int) -> int:
    life = max(reloads // _LIVES, min(reloads // 2, _LONG_LIFE))
    return max(20, life * REQUESTS // WORKERS)


def _done(site: Site) -> int:
    """Reloads that the owner has counted, without those that found nothing new."""
    stats = site.client.get_stats()
    return int(stats["successful_reloads"] + stats["failed_reloads"])


def _take(run: Run, acts: Acts, requests: Requests, site: Site) -> None:
    run.results, run.others, run.told = dict(sorted(acts.results.items())), list(acts.others), site.told
    run.answered, run.lost, run.torn = requests.answered, requests.lost, requests.torn


# ---- what is said


def line(run: Run) -> str:
    """What the newest look has seen: by role the most descriptors, threads and KiB that a process has."""
    look = run.looks[-1]
    cells = []
    for role in JUDGED:
        mine = [each for each in look.processes if each.role == role]
        most = (max((getattr(each, kind) for each in mine), default=0) for kind in ("descriptors", "threads", "memory"))
        cells.append(f"{role} {'/'.join(map(str, most))}")
    files = "  ".join(f"{name} {value:.0f}" for name, value in look.files.items())
    return f"{run.seconds:6.0f} s  {look.reloads:7,}  {'  '.join(cells)}  {files}  log {look.log // 1024}"


def tenths(run: Run) -> Iterable[str]:
    """Of each role and folder its median in each tenth of the run: memory in KiB."""
    for role in JUDGED:
        yield _tenths(run, f"{role}: memory", lambda look, role=role: _most_memory(look, role))  # type: ignore[misc]
    for name in run.looks[-1].files:
        yield _tenths(run, name, lambda look, name=name: look.files[name])  # type: ignore[misc]


def _most_memory(look: Look, role: str) -> float:
    return max((each.memory for each in look.processes if each.role == role), default=0)


def _tenths(run: Run, name: str, of: Callable[[Look], float]) -> str:
    end = run.looks[-1].reloads
    parts = ([of(look) for look in run.looks if _tenth(look.reloads, end) == part] for part in range(10))
    return f"{name:28}" + "".join(f"{median(part):9.0f}" if part else "        -" for part in parts)


def _tenth(reloads: int, end: int) -> int:
    return min(9, 10 * reloads // max(1, end))


def report(run: Run) -> str:
    """All of it, for people."""
    counts = ", ".join(f"{name} {count:,}" for name, count in run.results.items())
    requests = f"{run.answered:,} requests answered, {run.lost} lost with {run.killed} killed workers"
    head = (
        f"{run.looks[-1].reloads:,} of {run.reloads:,} reloads, {run.seconds:.0f} s; {requests}; {run.told:,} webhooks"
    )
    return "\n".join([head, counts, *run.others, "", "medians of tenths (KiB)", *tenths(run), "", table(run.rows())])
