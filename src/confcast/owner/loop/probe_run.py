"""One run of one probe: a program that is started, or a URL that is asked, and what its answer is.

Guaranteed: a run has a deadline, `every`, whatever hangs; a program that misses it is killed with its process group. Of
what a program says some hundred characters are kept, and the rest is read and dropped. It is a file of its own, since
an owner without probes needs neither this nor HTTP.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple

from confcast.texts import shortened
from confcast.wire import http_exchange, programs, urls
from confcast.wire.probes import AnyProbe, Command, Http

_MOST_KEPT = 2000
"""Bytes that are kept of a program's output."""

_LONGEST_LINE = 300


class Answer(NamedTuple):
    """What a probe's run gave: `no`, why it says no, or `none`, why there is no answer; both empty: it says yes."""

    no: str = ""
    none: str = ""


def asked(probe: AnyProbe, over: Callable[[], bool] = lambda: False) -> Answer:
    """Ask a probe once, within its `every` seconds; `over`: whether nobody needs the answer any more."""
    try:
        return _run(probe, over) if isinstance(probe, Command) else _fetch(probe)
    except Exception as error:  # whatever a name's resolver, a program's path or a server's answer may be
        return Answer(none=f"{type(error).__name__}: {shortened(str(error), _LONGEST_LINE)}")


# ---- a program


def _run(probe: Command, over: Callable[[], bool]) -> Answer:
    try:
        ended = programs.run(probe.command, time.monotonic() + probe.every, _MOST_KEPT, merged=True, over=over)
    except programs.NotStarted as error:
        return Answer(none=f"it can't be started: {error.strerror}")
    if ended.status is None:
        return Answer(none=f"it has not ended within {probe.every:g} s, and was killed")
    code = os.waitstatus_to_exitcode(ended.status)
    if code < 0:
        return Answer(none=f"signal {-code} has ended it")
    line = next(iter(ended.output.decode(errors="replace").strip().splitlines()), "")  # cut once it is masked
    return Answer(no=f"exited with status {code}{f': {line}' if line else ''}") if code else Answer()


# ---- a URL


def _fetch(probe: Http) -> Answer:
    headers = {"User-Agent": "confcast", **urls.authorization(probe.url)}
    try:
        status = http_exchange.status_of(urls.without_user(probe.url), headers, timeout=probe.every)
    except http_exchange.Unanswered as error:
        return Answer(none=str(error))
    return Answer() if 200 <= status < 400 else Answer(no=f"answered with status {status}")
