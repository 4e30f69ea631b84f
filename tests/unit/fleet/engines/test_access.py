"""How to reach an engine: what of a URL is shown."""

from __future__ import annotations

import pytest

from confcast.fleet import Etcd, Gateway, Nats, Postgres, Redis
from confcast.fleet.engines.access import Access

SECRETS = ("AbcSecret", "XyzSecret")


@pytest.mark.parametrize("sign", ["/", "?", "#", "[", "]", "\N{ACCOUNT OF}", "/?", "#/", "?#", "/@", "@/", "@?", "//"])
@pytest.mark.parametrize("first", ["AbcSecret", "", "123"])
@pytest.mark.parametrize("kind", [Redis, Etcd, Postgres, Nats, Gateway])
def test_a_password_with_a_sign_that_has_to_be_encoded_is_in_no_message(kind: type, first: str, sign: str):
    scheme = {Redis: "redis", Etcd: "etcd", Postgres: "postgresql", Nats: "nats", Gateway: "https"}[kind]
    with pytest.raises(ValueError, match=r"^url") as refused:
        kind(f"{scheme}://me:{first}{sign}XyzSecret@host.example:1234/1", "shop")
    assert not any(secret in str(refused.value) for secret in SECRETS)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize(
    "url",
    [
        "redis://me:a%2Fb%40c@host.example/0",
        "redis://me:a@b@host.example/0",
        "redis://[::1]:6379/0",
        "etcd://me:a@one.example:2379,two.example:2379",
        "postgresql:///shop?host=/run/postgresql&user=me@server",
        "postgresql://host.example:5432/shop?user=me@server",
        "postgresql://me@host.example/shop?schema=a@b",
        "nats://host.example/bucket?replicas=3",
        "https://host.example:9180/base",
    ],
)
def test_urls_that_are_clear_are_taken(url: str):
    assert Access(url=url).shown.startswith(url.partition("://")[0])
