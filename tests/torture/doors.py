"""The doors by which the nemesis calls verbs: the library's client, the command line, and the admin API.

A call is a verb and arguments of plain data, the same for each door. What a door makes of them (a method with its
arguments, a command line, an HTTP request) is a function without effects; carrying it out is the door's. Whatever comes
back is an `Answer`, also an error that names its cause. An error that the surface does not declare is marked
(`UNDECLARED`): no verb of a running system may have one, whatever was done to its processes.

Rejected: one door in whose call the others' are tried afterwards (a rollback would go back three versions), and
recording the answers as each door words them (the checker would have to know three surfaces).
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

from confcast import Canary, Client, ConfigError, OwnerUnavailable, ReloadEvent
from tests.torture import content, delays
from tests.torture.plan import Scalar

UNDECLARED = "undeclared: "
"""How the error of a call begins that nobody may get."""
FILE = "app.toml"
CHANGES = ("reload", "check", "set", "unset", "rollback", "resume", "confirm")
"""The verbs that have an outcome, of every door."""
TRIES_SOURCES = ("explain", "diff")
"""Those that have sources loaded for an answer."""
LOOKS = ("status", "versions", "history", *TRIES_SOURCES)
"""Those that change nothing, of every door."""

CLIENT = {
    **{verb: verb for verb in (*CHANGES, "wait", "reload_config", "clear_history", "workers")},
    **{verb: verb for verb in LOOKS},
    "history": "get_event_history",
    "stats": "get_stats",
    "progress": "is_reload_in_progress",
}
"""The verbs of the library, by the names of the plan: a client's method."""
COMMANDS = (*CHANGES, *LOOKS, "wait", "show", "schema", "exec")
"""The verbs of the command line."""
ROUTES = (*CHANGES, *LOOKS, "stats", "workers", "config", "schema", "events")
"""The verbs of the admin API: /v1/VERB."""

_ANSWER = 5.0
"""Seconds within which an owner answers what needs no load; and seconds to ask it how long a load may take."""
_BEGIN = 5.0
"""Seconds that a program may take to begin and to find its owner, on a machine that does much else."""
_LATE = 1.0
"""Seconds more that a wait promises for an owner that doesn't answer."""
_TURN = 3.0
"""Seconds that the admin process has a question wait for its turn."""
_LATER = 10.0
"""Seconds after its deadline in which an answer that comes late is still waited for, so that it is told from none."""

_DECLARED_EXITS = {0, 1, 3, 4, 5, 6}
_DECLARED_STATUSES = {200, 202, 409, 412, 422, 503, 504}


class Answer(msgspec.Struct, kw_only=True):
    """What came back, in the words of `history.Call`."""

    answered: bool = True
    result: str = ""
    version: int = 0
    previous: int = 0
    loaded: float = 0.0
    applied: list[int] = []
    lagging: list[int] = []
    error: str = ""
    waited: float = 0.0


class Where(NamedTuple):
    """What a door needs of a site.

    Attributes:
        client: The library's.
        owner: The option by which the command line finds the owner.
        admin: The port and the token of the admin API; None where there is none.
    """

    client: Client
    owner: tuple[str, str]
    admin: tuple[int, str] | None


def deadline(door: str, verb: str, given: Mapping[str, Scalar], answers_within: float) -> float:
    """Seconds within which a caller is promised an answer.

    `answers_within`: those of a load that begins at once. A caller who gives no timeout asks the owner for them first;
    a reload that is under way takes as long again, and is within the same time by the promise.
    """
    seconds = _ANSWER
    if verb in (*CHANGES, *TRIES_SOURCES, "reload_config", "show", "schema", "config"):
        seconds += answers_within + _number(given.get("wait_observers"))
    if (timeout := _number(given.get("timeout"))) and verb != "exec":
        seconds = timeout + (_ANSWER if door == "cli" else 0.0)  # it names the workers afterwards
    if verb == "wait":
        seconds += _LATE
    return seconds + {"cli": _BEGIN, "admin": _TURN + 2 * _ANSWER}.get(door, 0.0)


def call(where: Where, door: str, verb: str, given: Mapping[str, Scalar], within: float) -> Answer:
    """Call it, and wait for the answer: no longer than `within`, and some seconds, where the door lets one give up."""
    doors: dict[str, Callable[..., Answer]] = {"client": _by_client, "cli": _by_command, "admin": _by_admin}
    with _text_of(verb, given) as path:
        try:
            return doors[door](where, verb, given, path, within + _LATER)
        except Exception as error:  # an answer that a door can't read is nothing that a caller may get
            return Answer(error=f"{UNDECLARED}{type(error).__name__}: {error}")


@contextlib.contextmanager
def _text_of(verb: str, given: Mapping[str, Scalar]) -> Iterator[Path | None]:
    """The file whose content a dry run tries, if it tries one."""
    if given.get("what") != "files":
        yield None
        return
    with tempfile.NamedTemporaryFile(suffix=".toml") as file:
        file.write(content.text(int(_number(given["serial"])), veto=str(given.get("veto", ""))).encode())
        file.flush()
        yield Path(file.name)


def values(given: Mapping[str, Scalar]) -> dict[str, Any]:
    """What a call sets, or tries to."""
    if "tuned" in given:
        return {"tuned": given["tuned"]}
    if "serial" not in given:
        return {}
    number = dict.fromkeys(("serial", "left", "right"), given["serial"])
    return {**number, "veto": given.get("veto", ""), "harm": given.get("harm", "")}


def _canary(given: Mapping[str, Scalar]) -> dict[str, Any]:
    names = ("size", "by", "seconds", "min_requests", "inconclusive")
    return {name: given[f"canary_{name}"] for name in names if f"canary_{name}" in given}


def _some(given: Mapping[str, Scalar], *names: str) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}


def _number(value: Scalar) -> float:
    return float(value or 0.0)


# ---- the library


def _by_client(where: Where, verb: str, given: Mapping[str, Scalar], path: Path | None, within: float) -> Answer:
    arguments, how = arguments_of(verb, given, path)
    name = CLIENT[verb]
    try:
        if given.get("awaited"):
            method = getattr(where.client, "await_" if verb == "wait" else f"a{name}")
            found = asyncio.run(method(*arguments, **how))
        else:
            found = getattr(where.client, name)(*arguments, **how)
    except (OwnerUnavailable, ConfigError) as error:
        return Answer(error=f"{type(error).__name__}: {error}")
    return _of_event(msgspec.to_builtins(found)) if isinstance(found, ReloadEvent) else Answer(result=_word(found))


def arguments_of(verb: str, given: Mapping[str, Scalar], path: Path | None = None) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a client's method: by place, and by name."""
    how = _some(given, "expect", "reason", "timeout", "confirm_within", "wait_observers", "force", "ttl")
    if "allow" in given:
        how["allow"] = [given["allow"]]
    if canary := _canary(given):
        how["canary"] = Canary(canary.pop("size"), **canary)
    if verb == "check":
        how = {"files": {FILE: path}} if path is not None else {"values": values(given)} if values(given) else {}
    if verb == "set":
        return [values(given)], how
    if verb == "unset":
        return [str(given["keys"]).split()], how
    if verb in ("rollback", "confirm", "wait"):
        how |= _some(given, "version")
    if verb == "explain":
        return [given["key"]], how
    return ([given["a"], given["b"]], how) if verb == "diff" else ([], how)


def _word(found: object) -> str:
    """One word for an answer that is no event."""
    return str(found) if isinstance(found, str) else "answered"


# ---- the command line


def _by_command(where: Where, verb: str, given: Mapping[str, Scalar], path: Path | None, within: float) -> Answer:
    line = [sys.executable, "-m", "confcast", *command_of(verb, given, where.owner, path)]
    done = delays.run(line, within)
    if done is None:
        return Answer(answered=False, error="the command did not end")
    return msgspec.structs.replace(_of_exit(done), waited=done.waited)


def _of_exit(done: delays.Ended) -> Answer:
    said = done.err.decode(errors="replace").strip()
    if done.status not in _DECLARED_EXITS or "Traceback" in said:
        return Answer(error=f"{UNDECLARED}exit status {done.status}: {said[-500:]}")
    with contextlib.suppress(ValueError):
        found = json.loads(done.out)
        if isinstance(found, dict) and "result" in found:
            return _of_event(found)
    return Answer(result=f"exit {done.status}", error=said[-500:] if done.status else "")


def command_of(verb: str, given: Mapping[str, Scalar], owner: tuple[str, str], path: Path | None = None) -> list[str]:
    """The command line, without the program."""
    line = [verb, *owner]
    if verb == "exec":
        return [*line, "--timeout", "5s", "--", "true"]
    line += ["--json"] if verb not in ("show",) else []
    names = {"expect", "reason", "timeout", "confirm_within", "ttl"} & given.keys()
    names -= {"expect"} if verb == "reload" else set()  # that command has no such option
    line += [part for name in sorted(names) for part in ("--" + name.replace("_", "-"), str(given[name]))]
    line += ["--force"] if given.get("force") else []
    line += ["--allow", str(given["allow"])] if "allow" in given else []
    flags = {"size": "", "by": "by", "seconds": "for", "min_requests": "min-requests", "inconclusive": "inconclusive"}
    for name, value in _canary(given).items():
        line += [f"--{flags[name] or 'canary'}", str(value)]
    if verb == "check":
        words = [f"{FILE}={path}"] if path is not None else []
        return line + words + [part for word in _assignments(given) if path is None for part in ("--set", word)]
    return line + _words_of(verb, given)


def _words_of(verb: str, given: Mapping[str, Scalar]) -> list[str]:
    if verb == "set":
        return _assignments(given)
    if verb == "unset":
        return str(given["keys"]).split()
    return [str(given[name]) for name in ("version", "key", "a", "b") if name in given]


def _assignments(given: Mapping[str, Scalar]) -> list[str]:
    return [f"{key}={value}" for key, value in values(given).items()]


# ---- the admin API


def _by_admin(where: Where, verb: str, given: Mapping[str, Scalar], path: Path | None, within: float) -> Answer:
    if where.admin is None:
        return Answer(error="there is no admin server")
    (port, token), (method, target, body) = where.admin, request_of(verb, given, path)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=within)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    if method == "POST" and verb != "check":
        headers["if-match"] = f'"{given["expect"]}"' if "expect" in given else "*"
    try:
        connection.request(method, target, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        told = response.readline() if verb == "events" and response.status == 200 else response.read()
    except TimeoutError:
        return Answer(answered=False, error="no answer over HTTP")
    except (OSError, http.client.HTTPException) as error:  # its process has ended, which the caller sees
        return Answer(error=f"{type(error).__name__}: {error}")
    finally:
        connection.close()
    return _of_response(response.status, told)


def request_of(
    verb: str, given: Mapping[str, Scalar], path: Path | None = None
) -> tuple[str, str, dict[str, Any] | None]:
    """Method, target and body."""
    target = f"/v1/{verb}"
    if verb not in CHANGES:
        query = {name: given[name] for name in ("key", "a", "b") if name in given}
        return "GET", f"{target}?{urlencode(query)}" if query else target, None
    body = _some(given, "reason", "confirm_within", "force", "ttl")
    if verb in ("rollback", "confirm"):
        body |= _some(given, "version")
    if canary := _canary(given):
        body["canary"] = canary
    if "allow" in given:
        body["allow"] = [given["allow"]]
    if verb == "check":
        body = {"files": {FILE: path.read_text()}} if path is not None else {"values": values(given)}
    if verb == "set":
        body["values"] = values(given)
    if verb == "unset":
        body["keys"] = str(given["keys"]).split()
    return "POST", target, body


def _of_response(status: int, told: bytes) -> Answer:
    words = told.decode(errors="replace")
    if status not in _DECLARED_STATUSES:
        return Answer(error=f"{UNDECLARED}HTTP {status}: {words[:500]}")
    with contextlib.suppress(ValueError):
        found = json.loads(told)
        if isinstance(found, dict) and isinstance(found.get("event"), dict):
            return _of_event(found["event"])
    return Answer(result=f"HTTP {status}", error=words[:500] if status >= 400 else "")


# ---- what all of them say


def _of_event(event: Mapping[str, Any]) -> Answer:
    """An event as data; one with defaults left out, or none."""
    return Answer(
        result=event["result"],
        version=event.get("version", 0),
        previous=event.get("previous_version", 0),
        loaded=event["timestamp"] - (time.time() - time.monotonic()),
        applied=list(event.get("applied", [])),
        lagging=[each["pid"] for each in event.get("lagging", [])],
        error=event.get("error_message") or "",
    )
