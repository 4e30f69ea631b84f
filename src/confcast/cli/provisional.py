"""What commands say of a version that may still be taken back by itself, and of one that was.

Three things are provisional: a version on trial, which a part of the workers or of the entities runs; one that is to be
confirmed (`--confirm-within`); and one on probation, for some seconds after its commit. All commands say the same of
them: until when, what ends it, what speaks against it, and what to type. What was undone is told as long as the version
that put the former content back runs.

`stats` are an owner's totals. One of an earlier build has no trial, no probation and no evidence in them.
"""

from __future__ import annotations

from typing import Any

from confcast.cli.report import caller_name, line, when

_MOST_SHOWN = 10
"""How many canaries, and how many texts of evidence, are listed."""


def may_be_undone(stats: dict[str, Any], version: int) -> bool:
    """Whether this version is not good yet: a window's end, or what speaks against it, would undo it."""
    open_ = stats.get("window") or stats.get("probation")
    return open_ is not None and version > open_["fallback"]


def told(stats: dict[str, Any]) -> list[str]:
    """A sentence for each thing that is provisional, and what speaks against it; none where nothing is."""
    sentences = [sentence for _, sentence in labelled(stats)]
    return [*sentences, *(f"  {each}" for each in evidence(stats))] if sentences else []


def labelled(stats: dict[str, Any]) -> list[tuple[str, str]]:
    """The same sentences, each with the word before it in `status`; without the evidence."""
    found = (("trial", _on_trial(stats)), ("confirm", _opened(stats)), ("probation", _on_probation(stats)))
    return [(label, sentence) for label, sentence in found if sentence]


def evidence(stats: dict[str, Any]) -> list[str]:
    """What was found against what is provisional, a line each."""
    texts = [line(each) for each in stats.get("evidence") or ()]
    more = len(texts) - _MOST_SHOWN
    return [*texts[:_MOST_SHOWN], *([f"and {more} more"] if more > 0 else [])]


def _on_trial(stats: dict[str, Any]) -> str:
    """One sentence about the version on trial; "" for none."""
    if (trial := stats.get("trial")) is None:
        return ""
    again = ", the second time" if trial["extended"] else ""
    return (
        f"version {trial['version']} is on trial {_where(trial)} since {when(trial['since'])}, until "
        f"{when(trial['until'])}{again}; {trial['requests']} of {trial['min_requests']} requests; `confcast confirm` "
        f"commits it, `confcast rollback` takes it back{_asked_for(trial)}"
    )


def _where(trial: dict[str, Any]) -> str:
    """Which workers run it, or for which entities all do."""
    if trial["by"] == "entity":
        return f"for {line(trial['size'])} of the entities"
    pids = [str(pid) for pid in trial["workers"]]
    if not pids:
        return "in no worker yet"
    more = [f"{len(pids) - _MOST_SHOWN} more"] if len(pids) > _MOST_SHOWN else []
    return f"in {'worker' if len(pids) == 1 else 'workers'} {', '.join([*pids[:_MOST_SHOWN], *more])}"


def _opened(stats: dict[str, Any]) -> str:
    """One sentence about the window that is open; "" for none."""
    if (window := stats.get("window")) is None:
        return ""
    end, version, why = when(window.get("until") or stats["deadline"]), stats["version"], _asked_for(window)
    if window["fallback"] == version:
        return f"what is changed until {end} is undone then; `confcast confirm` ends that{why}"
    back = f"the content of version {window['fallback']} is put back at {end}"
    return f"version {version} is to be confirmed: else {back}; `confcast confirm` keeps it{why}"


def _on_probation(stats: dict[str, Any]) -> str:
    """One sentence about the probation; "" for none."""
    if (probation := stats.get("probation")) is None:
        return ""
    return (
        f"version {stats['version']} is on probation until {when(probation['until'])}: if workers die of it, or speak "
        f"against it, the content of version {probation['fallback']} is put back; `confcast confirm` ends that"
    )


def _asked_for(given: dict[str, Any]) -> str:
    """By whom, and why, as far as that is known."""
    by = "" if given.get("who") is None else f" by {caller_name(given['who']['uid'], given['who'].get('actor', ''))}"
    why = f": {line(given['reason'])}" if given.get("reason") else ""
    return f"; asked for{by}{why}" if by or why else ""
