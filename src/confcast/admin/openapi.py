"""The OpenAPI document: of the table of routes, and of the types that answers and bodies are made of.

Guaranteed: it has each route and no other, and each body is checked by the very type that the document describes. Tests
validate the document, and every kind of real answer against it. Rejected: a document written by hand (it would be true
for a week).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

import confcast
from confcast.admin import problems, reads
from confcast.admin.table import CHANGES, READS, Change, Read
from confcast.errors import Problem
from confcast.wire.messages import ReloadEvent, Status

Document = dict[str, Any]

_REFERENCE = "#/components/schemas/{name}"
_BEARER = {"type": "http", "scheme": "bearer", "description": "A token of the file; a change wants a write one."}
_OWNER = {
    "name": "owner",
    "in": "query",
    "description": "The owner's id, as /v1/owners lists it; needed where several run.",
    "schema": {"type": "string"},
}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": 'The version that the caller has seen, as the ETag of any answer has it: "12"; * for any.',
    "schema": {"type": "string"},
}
_LAST_EVENT = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The id of the last event that the caller has: what came after it is sent first.",
    "schema": {"type": "string"},
}
_EVENTS = (
    "Server-sent events. `hello`, then `status` at each change: what /v1/status gives. `reload`: one event of the "
    "history, with an id. `owner`: {state: gone | back}. `gap`: events were left out; /v1/history has them. A comment "
    "comes every 15 seconds."
)


class OwnerInfo(msgspec.Struct, frozen=True):
    """One config owner that can be asked."""

    id: str
    name: str
    address: str
    pid: int
    version: int | None
    command: str
    directory: str
    started: float | None


class OwnersAnswer(msgspec.Struct, frozen=True):
    """The config owners of this user."""

    owners: list[OwnerInfo]


class SessionAnswer(msgspec.Struct, frozen=True):
    """Who the token is."""

    token: str
    may_write: bool
    confcast: str


class FleetAnswer(msgspec.Struct, frozen=True):
    """What `confcast fleet status --json` gives; null where no fleet is asked."""

    fleet: dict[str, Any] | None


class EventAnswer(msgspec.Struct, frozen=True):
    """What came of a change."""

    event: ReloadEvent


class Totals(msgspec.Struct, frozen=True):
    """What the owner has counted since its journal began, and what it is doing."""

    total_reloads: int
    successful_reloads: int
    failed_reloads: int
    suppressed: int
    held_reloads: int
    conflicts: int
    mean_duration_ms: float
    max_duration_ms: float
    owner_restarts: int
    version: int
    owner_pid: int
    reload_in_progress: bool
    answers_within: float
    dropped: dict[str, int]
    refused: dict[str, int]
    failures: dict[str, int]
    spoken_against: dict[str, int]
    phase: str
    phase_seconds: float
    provisional: Literal["", "trial", "probation", "confirm"]
    deadline: float | None
    evidence: list[str]
    trial: dict[str, Any] | None
    window: dict[str, Any] | None
    probation: dict[str, Any] | None
    overrides_left_out: int


class Master(msgspec.Struct, frozen=True):
    """The process that has started the owner."""

    pid: int
    uid: int
    working_directory: str
    command: str


class Surroundings(msgspec.Struct, frozen=True):
    """What a status says beside the owner's own: which owner, and what became of its sources' last load."""

    address: str
    name: str
    master: Master | None
    undone: str
    last: ReloadEvent | None
    sources: Literal["held", "applied", "on trial", "refused", "unreadable", "unknown"]


class ProblemAnswer(msgspec.Struct, frozen=True):
    """RFC 9457. `result` is one word for a program; `problems` and `event` are there where the owner has refused."""

    type: str
    title: str
    status: int
    detail: str
    result: str
    problems: list[Problem] = []
    event: ReloadEvent | None = None
    version: int = 0
    since: list[ReloadEvent] = []
    owners: list[str] = []


_EXTRA = (OwnersAnswer, SessionAnswer, FleetAnswer, EventAnswer, Totals, Surroundings, Status, ProblemAnswer)
_COMPOSED: dict[str, Document] = {
    "/v1/status": {"allOf": [{"$ref": _REFERENCE.format(name=each)} for each in ("Status", "Totals", "Surroundings")]},
    "/v1/stats": {"$ref": _REFERENCE.format(name="Totals")},
}


def document() -> Document:
    """The document, as plain data of JSON."""
    types = [*(each.answer for each in READS if each.answer is not None), *(each.body for each in CHANGES), *_EXTRA]
    _, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    found = {
        "openapi": "3.1.0",
        "info": {
            "title": "confcast admin",
            "version": confcast.__version__,
            "description": "The config owners of one user on one host. Every change wants the version that was seen.",
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": {**_special(), **{each.path: {"get": _read(each)} for each in READS}, **_changes()},
        "components": {"schemas": components, "securitySchemes": {"token": _BEARER}},
    }
    plain: Document = msgspec.json.decode(msgspec.json.encode(found))  # defaults are tuples here, and arrays there
    return plain


def _special() -> Document:
    answers = {"/v1/owners": OwnersAnswer, "/v1/session": SessionAnswer, "/v1/fleet": FleetAnswer}
    found = {path: {"get": _get(path, kind.__doc__ or "", _of(kind))} for path, kind in answers.items()}
    stream = _get("/v1/events", _EVENTS, {"type": "string"}, [_OWNER, _LAST_EVENT], "text/event-stream")
    own = _get("/v1/openapi.json", "This document.", {"type": "object"})
    return {**found, "/v1/events": {"get": stream}, "/v1/openapi.json": {"get": own}}


def _header(text: str, kind: str = "string") -> Document:
    return {"description": text, "schema": {"type": kind}}


_TAG = {"ETag": _header('The version on trial, else the one that runs: "12". Give it back as If-Match.')}
_TAG_IF_KNOWN = {"ETag": _header("The same, where it is known.")}
_AFTER = {"Retry-After": _header("Seconds after which to try again.", "integer")}
_ALLOW = {"Allow": _header("The methods that are served.")}
_CHALLENGE = {"WWW-Authenticate": _header("Bearer: a token is expected.")}

_OF_ALL: dict[int, tuple[str, Document]] = {
    400: ("The request is not what it has to be, or has a token in its URL", {}),
    401: ("No token, or a wrong one", _CHALLENGE),
    403: ("Another Host, or a page of another origin", {}),
    405: ("Another method", _ALLOW),
    429: ("Too many wrong tokens from this address", _AFTER),
    503: ("Nobody answers now; or too many connections are open", _AFTER),
}
_OF_AN_OWNER: dict[int, tuple[str, Document]] = {
    404: ("No owner has this id", {}),
    409: ("Several owners run, and none was chosen", {}),
    422: ("The owner refuses the question, or its arguments", {}),
    501: ("The owner is of an earlier build, and does not know the question", {}),
    502: ("The owner has failed", {}),
    503: ("No owner answers, nothing was asked of it; or too many connections or streams", _AFTER),
}
_OF_A_TRY: dict[int, tuple[str, Document]] = {
    403: ("A token that may only read; another Host; or a page of another origin", {}),
    408: ("The body was not there in time", {}),
    409: ("Held, or undone; or several owners run, and none was chosen", _TAG_IF_KNOWN),
    413: ("The body is too long", {}),
    415: ("The body is not application/json", {}),
    422: ("Refused: by the schema, a guard or a worker, with places, keys and reasons", _TAG_IF_KNOWN),
    504: ("The owner was asked, and did not answer in time: what became of it is unknown", {}),
}
_OF_A_CHANGE: dict[int, tuple[str, Document]] = {
    412: ("Another version runs than the one that was seen: who changed what meanwhile", _TAG_IF_KNOWN),
    428: ("No If-Match", {}),
}


def _get(
    path: str, text: str, schema: Document, given: list[Document] | None = None, kind: str = "application/json"
) -> Document:
    asks = _OWNER in (given or [])
    tag = _TAG if asks and kind == "application/json" else {}
    problems_ = _OF_ALL | (_OF_AN_OWNER if asks else {})
    operation = {"operationId": _id("get", path), "summary": text.partition(". ")[0].rstrip("."), "description": text}
    return {
        **operation,
        "parameters": given or [],
        "responses": _responses({"200": _answer(text, schema, kind, tag)}, problems_),
    }


def _read(route: Read) -> Document:
    schema = _COMPOSED[route.path] if route.answer is None else _of(route.answer)
    text = f"{route.summary}. On the host: `confcast {route.command}`."
    return _get(route.path, text, schema, [_OWNER, *_parameters(route.query)])


def _changes() -> Document:
    return {each.path: {"post": _change(each)} for each in CHANGES}


def _change(route: Change) -> Document:
    responses = {"200": _answer("What came of it", _of(EventAnswer), headers=_TAG_IF_KNOWN)}
    if route.changes:
        responses["202"] = _answer("It is on trial", _of(EventAnswer), headers=_TAG_IF_KNOWN)
    problems_ = _OF_ALL | _OF_AN_OWNER | _OF_A_TRY | (_OF_A_CHANGE if route.changes else {})
    return {
        "operationId": _id("post", route.path),
        "summary": route.summary,
        "description": f"{route.summary}. On the host: `confcast {route.command}`.",
        "parameters": [_OWNER, *([_IF_MATCH] if route.changes else [])],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _of(route.body)}}},
        "responses": _responses(responses, problems_),
    }


def _responses(good: Document, bad: dict[int, tuple[str, Document]]) -> Document:
    told = {
        str(status): _answer(text, _of(ProblemAnswer), problems.JSON, headers)
        for status, (text, headers) in sorted(bad.items())
    }
    return {**good, **told, "default": _answer("A fault of confcast's", _of(ProblemAnswer), problems.JSON)}


def _answer(text: str, schema: Document, kind: str = "application/json", headers: Document | None = None) -> Document:
    found: Document = {"description": text, "content": {kind: {"schema": schema}}}
    return found | ({"headers": headers} if headers else {})


def _parameters(query: type[reads.Query]) -> list[Document]:
    """The query of a URL, as its type describes it."""
    _, found = msgspec.json.schema_components([query])
    described = found[query.__name__]
    required = described.get("required", [])
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            "description": schema.get("description", ""),
            "schema": {key: value for key, value in schema.items() if key != "description"},
        }
        for name, schema in described["properties"].items()
    ]


def _of(kind: type[Any]) -> Document:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}


def _id(method: str, path: str) -> str:
    return f"{method}_{path.rpartition('/')[2].partition('.')[0]}"
