"""What etcd answers where a real one can't be made to, or would take minutes, and what is made of it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from confcast.fleet.engines import connect
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import EngineError, Fault, TooLarge, Unreachable
from confcast.fleet.engines.etcd import EtcdStore
from confcast.fleet.reports import SEEN_WITHIN
from tests.support.http_peer import Connection, Peer
from tests.support.waiting import DEADLINE

LINE = b'{"result":{"header":{"cluster_id":"1","revision":"5"},%s}}\n'
CREATED = LINE % b'"created":true'
EVENT = LINE % b'"events":[{"kv":{"key":"eA==","mod_revision":"6","value":"eQ=="}}]'


class Script:
    """An etcd that answers as the test says: each path by bytes, by a status and bytes, or by a function.

    Attributes:
        head: The head's value; None for none.
        revision: That of the store.
        cluster: Its id.
        asked: The paths, in order, and what was asked.
        lines: What the watch tells; empty bytes end it in order, None closes the connection.
        at: Other answers, by path.
    """

    def __init__(self) -> None:
        self.head: bytes | None = None
        self.revision = 5
        self.cluster = "1"
        self.asked: list[tuple[str, dict[str, Any], bytes]] = []
        self.lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.at: dict[str, Callable[[dict[str, Any]], tuple[int, bytes]]] = {}

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.asked]

    def reply(self, **fields: Any) -> tuple[int, bytes]:
        header = {"cluster_id": self.cluster, "revision": str(self.revision)}
        return 200, msgspec.json.encode({"header": header, **fields})

    def _range(self, fields: dict[str, Any]) -> tuple[int, bytes]:
        if self.head is None:
            return self.reply()
        found = {"key": fields["key"], "value": base64.b64encode(self.head).decode(), "mod_revision": "5"}
        return self.reply(kvs=[found], count="1")

    async def handle(self, connection: Connection) -> None:
        while request := await connection.request():
            head, _, body = request.partition(b"\r\n\r\n")
            path = head.split(b" ")[1].decode().removeprefix("/v3/")
            fields = msgspec.json.decode(body)
            self.asked.append((path, fields, head))
            if path in self.at:
                status, content = self.at[path](fields)
                if not status:
                    return
                connection.answer(content, status)
            elif path == "watch":
                await self._watch(connection)
                return
            else:
                connection.answer(*reversed(self._range(fields)))

    async def _watch(self, connection: Connection) -> None:
        connection.begin_stream()
        while (line := await self.lines.get()) is not None:
            connection.chunk(line)


def refusal(code: int, text: str, status: int = 400) -> Callable[[dict[str, Any]], tuple[int, bytes]]:
    return lambda _: (status, msgspec.json.encode({"error": text, "code": code, "message": text}))


@contextlib.asynccontextmanager
async def connected(script: Script, user: str = "") -> AsyncIterator[EtcdStore]:
    async with asyncio.timeout(DEADLINE), Peer(script.handle) as peer:
        store = await connect(Access(url=f"etcd://{user}127.0.0.1:{peer.port}"), "key")
        assert isinstance(store, EtcdStore)
        try:
            yield store
        finally:
            await store.close()


def with_script(test: Callable[[Script, EtcdStore], Awaitable[None]], user: str = "") -> Script:
    """Run it with a connection to a script."""

    async def main() -> Script:
        script = Script()
        async with connected(script, user) as store:
            await test(script, store)
        return script

    return asyncio.run(main())


def refused(prepare: Callable[[Script], None], error: type[EngineError], text: str) -> None:
    """A connection to a script that is so prepared is refused with this error."""

    async def main() -> None:
        script = Script()
        prepare(script)
        with pytest.raises(error, match=text) as caught:
            async with connected(script, "me:sesame@"):
                pass
        assert type(caught.value) is error
        assert str(caught.value).startswith("etcd://127.0.0.1:")
        assert "sesame" not in str(caught.value)

    asyncio.run(main())


# ---- what refuses a request


@pytest.mark.parametrize(
    ("code", "status", "text", "error"),
    [
        (14, 503, "etcdserver: request timed out", Unreachable),
        (14, 503, "etcdserver: leader changed", Unreachable),
        (4, 504, "context deadline exceeded", Unreachable),
        (2, 500, "context canceled", Unreachable),
        (8, 429, "etcdserver: too many requests", Unreachable),
        (8, 429, "etcdserver: mvcc: database space exceeded", Fault),
        (7, 403, "etcdserver: permission denied", Fault),
        (3, 400, "etcdserver: user name is empty", Fault),
        (12, 501, "unknown service", Fault),
        (15, 500, "etcdserver: corrupt cluster", Fault),
    ],
)
def test_a_refusal_is_a_fault_or_an_outage_in_etcds_words(code: int, status: int, text: str, error: type[EngineError]):
    def prepare(script: Script) -> None:
        script.at["kv/range"] = refusal(code, text, status)

    refused(prepare, error, text.partition("(")[0])


@pytest.mark.parametrize(
    "refuse",
    [
        refusal(3, "etcdserver: request is too large"),
        refusal(8, "grpc: received message larger than max (9 vs. 2)", 429),
    ],
)
def test_an_etcd_that_takes_less_than_others_is_told_so(refuse: Callable[[dict[str, Any]], tuple[int, bytes]]):
    async def test(script: Script, store: EtcdStore) -> None:
        script.at["kv/txn"] = refuse
        with pytest.raises(TooLarge, match="etcd does not take a request of this size"):
            await store.put_payload("0" * 64, b"x")

    with_script(test)


@pytest.mark.parametrize(
    ("status", "body", "error", "text"),
    [
        (404, b"Not Found\n", Fault, "no etcd answers there: it has no /v3"),
        (502, b"<html>bad gateway</html>", Unreachable, "status 502"),
        (503, b'["sesame"]', Unreachable, "status 503"),
        (400, b"Client sent an HTTP request to an HTTPS server.\n", Fault, "does it expect TLS"),
        (301, b"", Fault, "status 301"),
        (200, b"<html>sesame</html>", Fault, "no etcd answers there: its answer is not etcd's"),
        (200, b"{}", Fault, "names no cluster"),
        (200, b"[]", Fault, "not etcd's"),
        (200, b'{"x":' + b"[" * 9000, Fault, "not etcd's"),
        (400, b'{"x":' + b"[" * 9000, Fault, "status 400"),
        (200, b'{"header":{"cluster_id":"1","revision":"x"}}', Fault, "not etcd's"),
        (200, b'{"header":{"cluster_id":"1","revision":"1"},"kvs":[{"value":"?"}]}', Fault, "not etcd's"),
        (200, b"x" * 100_000, Fault, "more than 65536 bytes"),
        (0, b"", Unreachable, "does it expect TLS"),
    ],
)
def test_what_is_not_etcd_is_told_so_and_not_quoted(status: int, body: bytes, error: type[EngineError], text: str):
    def prepare(script: Script) -> None:
        script.at["kv/range"] = lambda _: (status, body)

    refused(prepare, error, text)


def test_a_refusal_is_shown_in_one_line_of_bounded_length():
    def prepare(script: Script) -> None:
        script.at["kv/range"] = refusal(7, "no\r\n\x1b[31m" + "x" * 5000)

    refused(prepare, Fault, r"etcd refuses: no\[31mx{100,200}$")


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([200, 400, 500]), st.binary(max_size=80) | st.text(max_size=40).map(str.encode))
def test_no_answer_at_all_raises_anything_but_an_error_in_words(status: int, body: bytes):
    async def main() -> None:
        script = Script()
        script.at["kv/range"] = lambda _: (status, body)
        with pytest.raises(EngineError):
            async with connected(script):
                pass

    asyncio.run(main())


# ---- tokens


def _tokens(script: Script) -> list[bytes]:
    """The tokens that requests had, but for those that asked for one."""
    found = []
    for path, _, head in script.asked:
        lines = [line for line in head.split(b"\r\n") if line.startswith(b"Authorization: ")]
        if path == "auth/authenticate":
            assert not lines, "etcd 3.4 refuses a request for a token that comes with a forgotten one"
        found += lines if path != "auth/authenticate" else []
    return [line.removeprefix(b"Authorization: ") for line in found]


@pytest.mark.parametrize(
    "refuse",
    [refusal(16, "etcdserver: invalid auth token", 401), refusal(3, "etcdserver: revision of auth store is old")],
)
def test_a_forgotten_token_is_renewed_once(refuse: Callable[[dict[str, Any]], tuple[int, bytes]]):
    given_out = iter(("one", "two", "three"))

    async def main() -> None:
        script = Script()
        script.at["auth/authenticate"] = lambda _: script.reply(token=next(given_out))
        async with connected(script, "me:sesame@") as store:
            refusals = iter((refuse, lambda fields: script.reply(kvs=[{"value": "eA==", "mod_revision": "5"}])))
            script.at["kv/range"] = lambda fields: next(refusals)(fields)
            assert await store.head() == b"x"
            assert _tokens(script) == [b"one", b"one", b"two"]
            script.at["kv/range"] = refuse
            with pytest.raises(Fault):
                await store.head()
            assert script.paths().count("auth/authenticate") == 3

    asyncio.run(main())


def test_a_token_with_a_newline_is_not_sent():
    def prepare(script: Script) -> None:
        script.at["auth/authenticate"] = lambda _: script.reply(token="a\r\nX: y")

    refused(prepare, Fault, "Authorization has a character")


# ---- the watch


@pytest.mark.parametrize(
    ("lines", "error", "text"),
    [
        ([b'{"error":{"grpc_code":14,"message":"etcdserver: no leader"}}', b""], Unreachable, "no leader"),
        ([b'{"error":{"grpc_code":7,"message":"permission denied"}}\n'], Fault, "permission denied"),
        ([b'{"error":"odd"}\n'], Unreachable, "odd"),
        ([b""], Unreachable, "the stream was ended"),
        ([None], Unreachable, "closed in the middle"),
        ([b"{}\n"], Fault, "not etcd's"),
        ([b"\xff\n"], Fault, "not etcd's"),
        ([b'{"error":' + b"[" * 9000 + b"\n"], Fault, "not etcd's"),
        ([LINE % b'"canceled":true,"compact_revision":"9"'], Unreachable, "compacted"),
        ([LINE % b'"canceled":true,"cancel_reason":"permission denied"'], Fault, "permission denied"),
        ([b"x" * 70_000], Unreachable, "told too much at once"),
        ([EVENT.rstrip(), b""], Unreachable, "ended"),
    ],
)
def test_whatever_ends_a_watch_loses_it(lines: list[bytes | None], error: type[EngineError], text: str):
    async def test(script: Script, store: EtcdStore) -> None:
        script.lines.put_nowait(CREATED)
        await store.subscribe()
        for line in lines:
            script.lines.put_nowait(line)
        for _ in range(2):
            with pytest.raises(error, match=text):
                await store.hint()
        with pytest.raises(error, match=text):
            await store.verify()

    with_script(test)


@pytest.mark.parametrize(
    ("lines", "error", "text"),
    [
        ([LINE % b'"created":true,"canceled":true,"cancel_reason":"no right"'], Fault, "no right"),
        ([LINE % b'"created":true,"canceled":true'], Unreachable, "ended the watch"),
        ([EVENT], Fault, "does not begin as one"),
        ([b'{"error":{"grpc_code":14,"message":"no leader"}}', b""], Unreachable, "no leader"),
    ],
)
def test_a_watch_that_is_not_confirmed_is_no_subscription(lines: list[bytes], error: type[EngineError], text: str):
    async def test(script: Script, store: EtcdStore) -> None:
        for line in lines:
            script.lines.put_nowait(line)
        with pytest.raises(error, match=text):
            await store.subscribe()

    with_script(test)


def test_a_watch_begins_right_behind_the_read_and_wants_a_leader():
    async def test(script: Script, store: EtcdStore) -> None:
        script.revision = 41
        script.lines.put_nowait(CREATED)
        await store.subscribe()

    *_, (before, _, _), (path, fields, head) = with_script(test).asked
    assert (before, path) == ("kv/range", "watch")
    assert fields["create_request"]["start_revision"] == "42"
    assert b"\r\nGrpc-Metadata-hasleader: true" in head


def test_many_events_that_nobody_has_waited_for_are_one_hint_and_a_sign_of_life_is_none():
    async def test(script: Script, store: EtcdStore) -> None:
        script.lines.put_nowait(CREATED + EVENT + EVENT)
        script.lines.put_nowait(EVENT + LINE % b'"watch_id":"-1"')
        await store.subscribe()
        await store.hint()
        script.head = b"x"
        await store.verify()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.02):
                await store.hint()  # of the second piece, if that came later
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await store.hint()

    with_script(test)


def test_a_watch_that_fails_by_a_fault_of_ours_is_not_silent(caplog: pytest.LogCaptureFixture):
    async def test(script: Script, store: EtcdStore) -> None:
        script.lines.put_nowait(CREATED)
        await store.subscribe()
        store._api.line_of = None  # type: ignore[method-assign, assignment]
        script.lines.put_nowait(EVENT)
        with pytest.raises(Fault, match="can't be read: TypeError"):
            await store.hint()

    with_script(test)
    assert "a watch of etcd can't be read" in caplog.text


def test_closing_tells_whoever_waits():
    async def test(script: Script, store: EtcdStore) -> None:
        script.lines.put_nowait(CREATED)
        await store.subscribe()
        waiting = asyncio.create_task(store.hint())
        await asyncio.sleep(0)
        await store.close()
        await store.close()
        with pytest.raises(Unreachable, match="is closed"):
            await waiting

    with_script(test)


# ---- another store


@pytest.mark.parametrize(
    ("name", "value", "text"), [("revision", 4, "restored or made anew"), ("cluster", "2", "another cluster")]
)
def test_another_store_behind_the_same_address_ends_the_connection(name: str, value: Any, text: str):
    async def test(script: Script, store: EtcdStore) -> None:
        setattr(script, name, value)
        for ask in (store.head, store.verify, lambda: store.payload("0" * 64), lambda: store.entries(3)):
            with pytest.raises(Unreachable, match=text):
                await ask()

    with_script(test)


# ---- writes


def test_a_swap_whose_answer_is_lost_is_not_sent_again():
    async def test(script: Script, store: EtcdStore) -> None:
        script.at["kv/txn"] = lambda _: (0, b"")
        with pytest.raises(Unreachable):
            await store.swap(None, b"new", b"entry")

    assert with_script(test).paths().count("kv/txn") == 1


def test_a_swap_compares_revision_value_and_target():
    """Without a target etcd compares VERSION with 0, whatever revision is given."""

    async def test(script: Script, store: EtcdStore) -> None:
        script.head = b"old"
        assert not await store.swap(b"another", b"new", b"entry")
        assert "kv/txn" not in script.paths()
        script.at["kv/txn"] = lambda _: script.reply(succeeded=True)
        assert await store.swap(b"old", b"new", b"entry")

    script = with_script(test)
    (transaction,) = [fields for path, fields, _ in script.asked if path == "kv/txn"]
    names = [(each["target"], base64.b64decode(each["key"]).decode()) for each in transaction["compare"]]
    head, audit = "confcast/key/head", f"confcast/key/audit/{5:020}"
    assert names == [("MOD", head), ("VALUE", head), ("CREATE", audit)]
    assert transaction["compare"][0]["mod_revision"] == "5"
    put = [base64.b64decode(each["request_put"]["key"]).decode() for each in transaction["success"]]
    assert put == [head, audit]


def test_old_entries_that_can_not_be_deleted_change_nothing_of_a_swap():
    async def test(script: Script, store: EtcdStore) -> None:
        script.at["kv/txn"] = lambda _: script.reply(succeeded=True)
        script.at["kv/range"] = lambda fields: (
            script.reply(count="5000", kvs=[{"key": "eA=="}]) if "range_end" in fields else script.reply()
        )
        script.at["kv/deleterange"] = refusal(7, "permission denied")
        assert await store.swap(None, b"new", b"entry")

    assert with_script(test).paths()[-1] == "kv/deleterange"


# ---- reports


@pytest.mark.parametrize(("granted", "left", "age"), [(600, 599, 0), (600, 420, 179), (600, 601, 0), (60, 0, 59)])
def test_an_age_is_what_is_gone_of_a_lease(granted: int, left: int, age: int):
    async def test(script: Script, store: EtcdStore) -> None:
        report = {"key": "eA==", "value": "eQ==", "mod_revision": "5", "lease": "7"}
        script.at["kv/range"] = lambda _: script.reply(kvs=[report], count="1")
        script.at["lease/timetolive"] = lambda fields: script.reply(ID="7", TTL=str(left), grantedTTL=str(granted))
        for _ in range(2):
            (seen,) = await store.reports()
            assert age <= seen.age < age + 1
        assert script.paths().count("lease/timetolive") == 1, "it is asked for once, and then grows by our clock"
        report["mod_revision"] = "6"
        (seen,) = await store.reports()
        assert 0.0 <= seen.age < 1, "the host has reported since the last look"
        assert script.paths().count("lease/timetolive") == 1

    with_script(test)


def test_a_report_that_goes_while_it_is_read_is_left_out():
    async def test(script: Script, store: EtcdStore) -> None:
        script.at["kv/range"] = lambda _: script.reply(kvs=[{"key": "eA==", "value": "eQ==", "lease": "7"}])
        script.at["lease/timetolive"] = lambda fields: script.reply(ID="7", TTL="-1")
        assert await store.reports() == []

    with_script(test)


def test_reports_are_kept_for_longer_than_a_host_counts():
    from confcast.fleet.engines.etcd import KEPT

    assert KEPT > 2 * SEEN_WITHIN
