"""What the reader sees: a line for each act, and the verdict in the end."""

from __future__ import annotations

from pathlib import Path

from confcast.examples.leindex.demo.acts import Act, Scene
from confcast.examples.leindex.demo.load import KEPT_CONNECTIONS, KEPT_RATE, NEW_RATE, Answer
from confcast.examples.leindex.demo.verdict import Verdict


def opening(port: int, master: int, owner: int, workers: set[int]) -> str:
    """Who takes part."""
    return (
        f"gunicorn {master} on http://127.0.0.1:{port}, config owner {owner}, workers {_pids(workers)}\n"
        f"load: {KEPT_CONNECTIONS} kept connections with {KEPT_RATE:.0f} requests/s each, "
        f"and {NEW_RATE:.0f} new connections/s\n"
    )


def scene_line(number: int, act: Act, scene: Scene, answers: list[Answer], folder: Path) -> str:
    """One act: what was done, what became of it, how soon, and which versions answered meanwhile."""
    title = (act.__doc__ or "").strip().rstrip(".")
    result = scene.outcome.event.result.name if scene.outcome else "no outcome in time"
    mark = "ok" if scene.held else f"FAILED: expected {scene.expected.name}"
    soon = "" if scene.milliseconds is None else f"last worker after {scene.milliseconds:.1f} ms"
    answered = [answer for answer in answers if not answer.error]
    workers = len({answer.pid for answer in answered})
    who = f"{_versions({answer.version for answer in answered})} ({len(answered)} answers, {workers} workers)"
    line = f"{number:2}  {title:<43} {result:<17} {soon:<28} {who:<36} {mark}"
    return "\n".join([line, *(f"      {note.replace(f'{folder}/', '')}" for note in _notes(scene))])


def _notes(scene: Scene) -> list[str]:
    problems = scene.outcome.event.problems if scene.outcome else []
    return [*scene.notes, *map(str, problems)]


def _versions(versions: set[int]) -> str:
    """`v3 v4`; from four on `v3 … v9`."""
    shown = [f"v{version}" for version in sorted(versions)]
    return " ".join(shown if len(shown) < 4 else [shown[0], "…", shown[-1]])


def closing(verdict: Verdict, gone: bool, held: bool) -> str:
    """The verdict."""
    lines = [
        "",
        f"requests sent                                  {verdict.sent}",
        f"failed                                         {len(verdict.failed)}",
        f"older than the barrier allows                  {len(verdict.stale)}",
        f"lost with the worker that was killed           {len(verdict.lost)}",
        f"kept connections made anew                     {len(verdict.closed)}",
        f"workers killed by the demonstration            {_pids(verdict.killed) or 'none'}",
        f"workers replaced                               {_pids(verdict.replaced) or 'none'}",
        f"left behind                                    {'nothing' if gone else 'processes, which were killed'}",
        *(f"  failed: {answer}" for answer in verdict.failed[:10]),
        *(f"  stale: {answer}" for answer in verdict.stale[:10]),
        "",
        "everything held" if held else "NOT everything held",
    ]
    return "\n".join(lines)


def _pids(pids: set[int]) -> str:
    return " ".join(map(str, sorted(pids)))
