"""Clients that versions share, their end, and the health check of those that are new."""

from __future__ import annotations

import asyncio
from typing import Any

from confcast.examples.tenant_proxy.schema import Upstream
from confcast.examples.tenant_proxy.settings import settings
from confcast.examples.tenant_proxy.upstreams import Clients, _open, clients, new_upstreams_answer
from tests.support.tenant_proxy_asked import proxy_to, upstream
from tests.support.waiting import on_a_loop

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
SICK = b"HTTP/1.1 503 Sick\r\ncontent-length: 0\r\n\r\n"


def at(url: str, **values: Any) -> Upstream:
    return Upstream.model_validate({"url": url, **values})


def test_what_has_not_changed_is_kept_with_its_connections_and_the_rest_closed_with_its_last_version() -> None:
    async def main() -> None:
        async with upstream(OK) as one, upstream(OK) as other:
            first = Clients({"a": at(one.url), "b": at(other.url)})
            for name in ("a", "b"):
                async with await first.get(name).ask("GET", "/"):
                    pass
            second = Clients({"a": at(one.url), "b": at(other.url, read_timeout=1)})
            assert second.get("a") is first.get("a")
            assert second.get("b") is not first.get("b")
            assert (first.new, second.new) == ({"a", "b"}, {"b"})
            await first.close()
            await asyncio.wait_for(other.ended.wait(), 10)
            assert (one.open, other.open) == (1, 0)
            async with await second.get("a").ask("GET", "/"):
                assert one.open == 1
            assert len(one.heads) == 2
            await second.close()
            await asyncio.wait_for(one.ended.wait(), 10)
            assert second.get("c") is None
            assert _open == {}

    on_a_loop(main)


def test_a_version_that_was_never_committed_takes_nothing_from_the_one_that_runs() -> None:
    async def main() -> None:
        runs = Clients({"a": at("http://127.0.0.1:9")})
        await Clients({"a": at("http://127.0.0.1:9"), "b": at("http://127.0.0.1:9")}).close()
        assert [name for name, _ in _open] == ["a"]
        await runs.close()
        assert _open == {}

    on_a_loop(main)


def test_the_check_asks_those_that_are_new_and_says_which_key_is_wrong() -> None:
    async def main() -> None:
        async with upstream(SICK) as sick, upstream(OK) as gone:
            pass
        async with upstream(SICK) as sick, proxy_to(sick.url, health="/up"):
            assert await verdict() == "upstreams.private: status 503; upstreams.text: status 503"
            assert sorted(head.split()[1] for head in sick.heads) == ["/", "/up"]
            same = Clients(settings.current.upstreams)
            with clients.override(same):
                assert await verdict() == ""
            await same.close()
        async with proxy_to(gone.url):
            assert "upstreams.text: no answer (ClientConnectorError)" in await verdict()
        async with upstream(OK) as well, proxy_to(well.url):
            assert await verdict() == ""

    on_a_loop(main)


async def verdict() -> str:
    try:
        await new_upstreams_answer()
    except Exception as error:
        return str(error)
    return ""
