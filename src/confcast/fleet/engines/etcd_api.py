"""Requests to one member of etcd, through its JSON gateway: what they send, and what its answers and refusals mean.

Guarantees. All reads are linearizable: a member that is cut off from the others refuses, and gives no old value. Each
answer is of the same cluster as the first, and no revision is lower than one before: else the data were restored or
made anew, and Unreachable is raised so that everything begins anew. A token that etcd has forgotten is renewed once;
what was refused for it was not done, so it is sent again. No message quotes an answer that is not etcd's.

Rejected: the gRPC clients (gRPC's threads don't survive a fork, and no pure one is kept up), and `serializable` reads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import EngineError, Fault, TooLarge, Unreachable
from confcast.fleet.engines.http_stream import MOST_ANSWER, Answer, HttpClient, Stream
from confcast.wire.messages import UNDECODABLE

PORT = 2379

_LONGEST_TEXT = 200  # of a refusal that is quoted
_HINTS = {
    "user name is empty": "; a user and a password are expected",
    "database space exceeded": "; an administrator has to compact and to defragment it, and to disarm the alarm",
}

# Codes of gRPC. What is in neither is an outage, as 14 (unavailable) and 4 (deadline exceeded) are.
_INVALID, _EXHAUSTED, _NOT_ENABLED, _UNAUTHENTICATED = 3, 8, 9, 16
_FAULTS = {_INVALID, 5, 7, _NOT_ENABLED, 11, 12, 13, 15, _UNAUTHENTICATED}
_USERS_CHANGED = "auth store is old"  # code 3


Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""The numbers of etcd's API: with larger ones nobody can reckon."""


class Header(msgspec.Struct, frozen=True):
    """What each answer begins with."""

    cluster_id: str = ""
    revision: Int64 = 0


class KeyValue(msgspec.Struct, frozen=True):
    """A key as a read or a watch has it; etcd leaves out what is 0 or empty."""

    key: bytes = b""
    value: bytes = b""
    mod_revision: Int64 = 0
    lease: str = ""


class Event(msgspec.Struct, frozen=True):
    """A write that a watch tells. A put has no type."""

    kv: KeyValue = KeyValue()
    type: str = "PUT"


class Reply(msgspec.Struct, frozen=True):
    """An answer of etcd, whatever was asked: what it says nothing of has its default."""

    header: Header = Header()
    kvs: tuple[KeyValue, ...] = ()
    count: Int64 = 0
    succeeded: bool = False
    token: str = ""
    id: str = msgspec.field(default="", name="ID")
    ttl: Int64 = msgspec.field(default=0, name="TTL")
    granted_ttl: Int64 = msgspec.field(default=0, name="grantedTTL")
    created: bool = False
    canceled: bool = False
    compact_revision: Int64 = 0
    cancel_reason: str = ""
    events: tuple[Event, ...] = ()


class _Line(msgspec.Struct, frozen=True):
    """A line of a stream."""

    result: Reply | None = None
    error: Any = None


class EtcdApi:
    """Requests to one member. For one loop; one at a time.

    Args:
        access: The cluster's.
        host: The member's.
        port: The member's.
    """

    def __init__(self, access: Access, host: str, port: int) -> None:
        self._access = access
        self.shown = f"{access.parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"
        tls = access.tls() if access.parts.scheme == "etcds" else None
        self._client = HttpClient(
            host, port, tls, shown=self.shown, headers={"Content-Type": "application/json"}
        )  # fmt: skip
        self._cluster = ""
        self._revision = 0

    async def authenticate(self) -> None:
        """Get a token for the URL's user, if it has one. Raises EngineError."""
        if not self._access.user:
            return
        who = {"name": self._access.user, "password": self._access.password()}
        self._client.headers.pop("Authorization", None)  # with one that it has forgotten, etcd 3.4 refuses this, too
        answer = await self._client.request("POST", "/v3/auth/authenticate", body=msgspec.json.encode(who))
        code, text = _refusal(answer)
        if code == _NOT_ENABLED and "not enabled" in text:
            return  # as etcd's own client does: the server asks nobody who it is
        if answer.status != 200:
            raise self._error(answer)
        self._client.headers["Authorization"] = self._decoded(answer.body).token

    async def ask(self, path: str, fields: Mapping[str, Any], *, most: int = MOST_ANSWER, twice: bool = True) -> Reply:
        """Send a request, and give etcd's answer.

        Args:
            path: After `/v3/`.
            fields: As etcd's documentation has them; bytes are encoded.
            most: Bytes of the largest answer.
            twice: Whether it may reach etcd twice.

        Raises:
            EngineError: As of all engines.
        """
        return self._decoded(await self._answer(path, fields, most=most, twice=twice))

    async def ask_line(self, path: str, fields: Mapping[str, Any]) -> Reply:
        """As `ask`, of requests that are answered by a stream of one line. Raises EngineError."""
        return self.line_of(await self._answer(path, fields))

    async def ask_store(self, path: str, fields: Mapping[str, Any], **more: Any) -> Reply:
        """As `ask`, of requests whose answers say how far the cluster's store is."""
        reply = await self.ask(path, fields, **more)
        cluster, revision = reply.header.cluster_id, reply.header.revision
        if not cluster or not revision:
            raise self._not_etcd("its answer names no cluster")
        if self._cluster and self._cluster != cluster:
            raise Unreachable(f"{self.shown}: another cluster answers")
        if revision < self._revision:
            raise Unreachable(f"{self.shown}: its revision has gone down: it was restored or made anew")
        self._cluster, self._revision = cluster, revision
        return reply

    async def stream(self, path: str, fields: Mapping[str, Any], headers: Mapping[str, str]) -> Stream:
        """Send a request whose answer goes on. Raises EngineError."""
        found = await self._client.stream("POST", f"/v3/{path}", body=msgspec.json.encode(fields), headers=headers)
        if isinstance(found, Answer):
            raise self._error(found)
        return found

    def line_of(self, content: bytes) -> Reply:
        """What a line of a stream says. Raises EngineError if that is an error, or nothing that etcd says."""
        try:
            line = msgspec.json.decode(content, type=_Line, strict=False)
        except UNDECODABLE:
            raise self._not_etcd("a line of its stream is not etcd's") from None
        if line.error is not None:
            raise self._refused(*_code_and_text(line.error))
        if line.result is None:
            raise self._not_etcd("a line of its stream is not etcd's")
        return line.result

    async def close(self) -> None:
        """Close the connection, within a second."""
        await self._client.close()

    async def _answer(
        self, path: str, fields: Mapping[str, Any], *, most: int = MOST_ANSWER, twice: bool = True
    ) -> bytes:
        """The body of an answer 200."""
        body = msgspec.json.encode(fields)
        answer = await self._client.request("POST", f"/v3/{path}", body=body, most=most, twice=twice)
        if self._is_old_token(answer):
            await self.authenticate()
            answer = await self._client.request("POST", f"/v3/{path}", body=body, most=most, twice=twice)
        if answer.status != 200:
            raise self._error(answer)
        return answer.body

    def _is_old_token(self, answer: Answer) -> bool:
        code, text = _refusal(answer)
        return bool(self._access.user) and (code == _UNAUTHENTICATED or (code == _INVALID and _USERS_CHANGED in text))

    def _decoded(self, content: bytes) -> Reply:
        try:
            return msgspec.json.decode(content, type=Reply, strict=False)
        except UNDECODABLE:
            raise self._not_etcd("its answer is not etcd's") from None

    def _error(self, answer: Answer) -> EngineError:
        code, text = _refusal(answer)
        if text:
            return self._refused(code, text)
        if answer.status in (408, 502, 503, 504):
            return Unreachable(f"{self.shown}: status {answer.status}: what is before etcd does not reach it")
        if answer.status == 404:
            return self._not_etcd("it has no /v3: etcd 3.4 or newer is expected, with its JSON gateway enabled")
        return self._not_etcd(f"status {answer.status}; does it expect TLS (etcds://)?")

    def _refused(self, code: int, text: str) -> EngineError:
        if "too large" in text or "larger than max" in text:
            return TooLarge(f"{self.shown}: etcd does not take a request of this size: {text}")
        text += next((hint for part, hint in _HINTS.items() if part in text), "")
        if code in _FAULTS or (code == _EXHAUSTED and "space exceeded" in text):
            return Fault(f"{self.shown}: etcd refuses: {text}")
        return Unreachable(f"{self.shown}: etcd can't: {text}")

    def _not_etcd(self, what: str) -> Fault:
        return Fault(f"{self.shown}: no etcd answers there: {what}")


def _refusal(answer: Answer) -> tuple[int, str]:
    """The code of gRPC and the text of a refusal; 0 and no text for an answer that is none of etcd's."""
    if answer.status == 200:
        return 0, ""
    with contextlib.suppress(*UNDECODABLE):
        found = msgspec.json.decode(answer.body)
        if isinstance(found, dict) and isinstance(found.get("code"), int):
            return _code_and_text(found)
    return 0, ""


def _code_and_text(found: Any) -> tuple[int, str]:
    """Of an error as an answer has it (code, message) or a stream (grpc_code, message)."""
    if not isinstance(found, dict):
        return 0, _plain(found)
    code = found.get("grpc_code", found.get("code", 0))
    return code if isinstance(code, int) else 0, _plain(found.get("message") or found.get("error"))


def _plain(text: Any) -> str:
    """A text that may be shown in a line."""
    return "".join(sign for sign in str(text)[:_LONGEST_TEXT] if sign.isprintable()) or "it does not say why"
