"""`confcast fleet status` shows which hosts have what, and what a rollout waits for.

It counts what hosts have reported. A host that is away (SEEN_WITHIN) is no host of the fleet; one that has missed a
report is, and is listed as stale. Texts name a few hosts of each kind, `--json` all of them.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from confcast.cli.fleet import engine_options
from confcast.cli.report import ExitCode, Report, line, table, when

if TYPE_CHECKING:
    from confcast.fleet.engines.engine import Store, Stored
    from confcast.fleet.engines.link import Link
    from confcast.fleet.reports import Seen

_NAMED = 5
_STATES = ("good", "applied", "loading", "held", "partial", "refused", "undone", "fault")
_AGAINST = ("refused", "undone", "fault", "partial")


def add_to(commands: Any) -> None:
    """Add the verb and its options."""
    parser = commands.add_parser(
        "status",
        help="show which hosts have what, and what a rollout waits for",
        description="Shows the head of a key, how many hosts have reported what of which version, which hosts refuse "
        "it and why, and what the rollout that is going on waits for. Changes nothing.",
    )
    engine_options.add_to(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Report:
    """Ask the engine, and report. Raises Unreachable if it does not answer."""
    key = engine_options.key_of(options)

    return engine_options.asked(options, lambda link: looked_at(link, key))


async def looked_at(link: Link, key: str) -> Report:
    """The report on a key, over this connection. Raises Unreachable if the engine does not answer."""
    from confcast.fleet.engines.link import patiently
    from confcast.fleet.publishing import LOOK_WITHIN

    async def look(store: Store) -> Report:
        return report(key, await store.head(), await store.reports())

    return await patiently(link, LOOK_WITHIN, look)


def report(key: str, raw: bytes | None, records: list[Stored]) -> Report:
    """The report on this head and these records, for a person and for a program."""
    from confcast.fleet.head import BadHead, decode, id_of
    from confcast.fleet.rollout.hosts import hosts_of, is_there
    from confcast.fleet.rollout.tally import progress, tally

    fault = ""
    try:
        head = None if raw is None else decode(raw)
    except BadHead as error:
        head, raw, fault = None, None, str(error)
    known = hosts_of(records)
    there = {host: seen for host, seen in known.items() if is_there(seen)}
    rollout = None
    if head is not None and head.next is not None and head.rollout is not None:
        found = tally(head, known)
        rollout = progress(head, found, lacking=found.lacking(head.rollout))
    data: dict[str, Any] = {
        "key": key,
        "head": None if raw is None else {"id": id_of(raw), **engine_options.head_data(head)},
        "fault": fault,
        "rollout": rollout,
        "hosts": len(there),
        "versions": _versions(head, there.values()),
        "against": _against(there.values()),
        "lagging": _lagging(head, there),
        "stale": _stale(there.values()),
        "held": _names(each for each in there.values() if each.report.state == "held"),
        "away": _names(seen for host, seen in known.items() if host not in there),
        "gateways": _gateways(records),
    }
    return Report(ExitCode.DONE, "\n".join(_lines(data)), data)


# ---- what there is


def _versions(head: Any, hosts: Iterable[Seen]) -> list[dict[str, Any]]:
    """How many hosts have reported what of each payload; stable, next, then the others by their number."""
    counts = defaultdict[str, Counter[str]](Counter)
    for each in hosts:
        counts[each.report.digest][each.report.state] += 1
    marks = {} if head is None else {head.stable: "stable", **({head.next: "next"} if head.next else {})}
    order = sorted(counts, key=lambda digest: (-list(marks).index(digest) - 10 if digest in marks else -1, digest))
    order = [each for each in marks if each in counts or each] + [each for each in order if each not in marks]
    return [
        {
            "digest": digest,
            "is": marks.get(digest, ""),
            "hosts": counts[digest].total(),
            **{state: counts[digest][state] for state in _STATES},
        }
        for digest in order
    ]


def _against(hosts: Iterable[Seen]) -> list[dict[str, Any]]:
    """The reasons of those that can't or won't have what was meant for them, the most frequent first."""
    found = defaultdict[tuple[str, str, str], list[str]](list)
    for each in hosts:
        if each.report.state in _AGAINST:
            found[each.report.digest, each.report.state, each.report.reason].append(_name(each))
    groups = sorted(found.items(), key=lambda group: (-len(group[1]), group[0]))
    return [
        {"digest": digest, "state": state, "reason": reason, "hosts": sorted(names)}
        for (digest, state, reason), names in groups
    ]


def _lagging(head: Any, hosts: Mapping[str, Seen]) -> list[str]:
    """The hosts that have not answered for what is meant for them."""
    from confcast.fleet.head import chosen

    if head is None:
        return []
    return _names(
        each
        for host, each in hosts.items()
        if each.report.state == "loading" or each.report.digest != chosen(head, host, each.report.labels)
    )


def _stale(hosts: Iterable[Seen]) -> list[str]:
    """The hosts that have missed a report."""
    from confcast.fleet.rollout.hosts import is_alive

    return _names(each for each in hosts if not is_alive(each))


def _gateways(records: Iterable[Stored]) -> list[dict[str, Any]]:
    from confcast.fleet.reports import BadReport, decode_summary

    found = []
    for record in records:
        try:
            summary = decode_summary(record.record)
        except BadReport:
            continue
        if summary is not None:
            streams = sum(each.connected for each in summary.hosts)
            found.append({"gateway": summary.gateway, "hosts": streams, "age": round(record.age, 3)})
    return sorted(found, key=lambda each: str(each["gateway"]))


def _names(hosts: Iterable[Seen]) -> list[str]:
    return sorted(map(_name, hosts))


def _name(seen: Seen) -> str:
    return seen.report.name or seen.report.host[:12]


# ---- in words


def _lines(data: dict[str, Any]) -> list[str]:
    head = data["head"]
    lines = [f"key       {data['key']}", *_head(head, data["fault"])]
    if data["rollout"] is not None:
        lines.append(f"rollout   {data['rollout'].text}")
        if not data["rollout"].lacking:
            lines.append("          if its publisher is gone: `confcast fleet publish --attach` goes on with it")
    away = f", {len(data['away'])} away" if data["away"] else ""
    lines.append(f"hosts     {data['hosts']} there{away}")
    lines += [
        f"gateway   {line(each['gateway'])}: {_hosts(each['hosts'])}, heard {each['age']:.1f} s ago"
        for each in data["gateways"]
    ]
    if data["versions"]:
        lines += ["", *_table(data["versions"]), ""]
    for each in data["against"]:
        reason = f": {line(each['reason'])}" if each["reason"] else ""
        lines.append(f"{each['state']:8}  {line(each['digest'][:8])} by {_some(each['hosts'])}{reason}")
    for kind, what in (
        ("lagging", "has not answered yet for what the head gives it"),
        ("stale", "has missed a report"),
        ("held", "is held by a person"),
        ("away", "was not heard of for minutes"),
    ):
        if names := data[kind]:
            lines.append(f"{kind:8}  {_some(names)} {what if len(names) == 1 else _plural(what)}")
    while not lines[-1]:
        lines.pop()
    return lines


def _head(head: dict[str, Any] | None, fault: str) -> list[str]:
    if fault:
        return [f"head      {line(fault)}; `confcast fleet publish --force` puts a head in its place"]
    if head is None:
        return ["head      none: nothing was published under this key, or the engine was emptied"]
    why = f": {line(head['why'])}" if head["why"] else ""
    return [f"head      {head['id']}, by {line(head['by']) or '?'}, {when(head['at'])}{why}"]


def _table(versions: list[dict[str, Any]]) -> list[str]:
    """One line for each version; a state that no host is in has no column."""
    states = [state for state in _STATES if any(each[state] for each in versions)]
    rows = [
        (each["digest"][:8] or "none yet", each["is"], each["hosts"], *(each[state] for state in states))
        for each in versions
    ]
    return table(("VERSION", "IS", "HOSTS", *map(str.upper, states)), rows)


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    shown = ", ".join(map(line, names[:_NAMED]))
    text = f"{shown} and {more} more" if more > 0 else shown
    return f"{_hosts(len(names))}: {text}" if len(names) > 1 else text


def _hosts(number: int) -> str:
    return "1 host" if number == 1 else f"{number} hosts"


def _plural(text: str) -> str:
    words = {"has": "have", "is": "are", "was": "were", "it": "them"}
    return " ".join(words.get(word, word) for word in text.split(" "))
