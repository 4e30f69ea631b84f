"""Which headers of a request and of an answer pass."""

from __future__ import annotations

import pytest

from confcast.examples.tenant_proxy.headers import Unreadable, of_answer, of_request

OF_A_CONNECTION = [
    (b"connection", b"close, X-Secret-Hop"),
    (b"x-secret-hop", b"1"),
    (b"keep-alive", b"timeout=5"),
    (b"proxy-authorization", b"Basic x"),
    (b"te", b"trailers"),
    (b"trailer", b"x-sum"),
    (b"transfer-encoding", b"chunked"),
    (b"upgrade", b"websocket"),
]


def test_what_belongs_to_one_connection_does_not_pass_on_either_way() -> None:
    kept = [(b"accept", b"*/*"), (b"cookie", b"a=1"), (b"cookie", b"b=2")]
    sent = of_request([*OF_A_CONNECTION, *kept], "acme", "10.0.0.1", None)
    assert sent == [
        ("accept", "*/*"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("via", "1.1 tenant-proxy"),
        ("x-tenant", "acme"),
        ("x-forwarded-for", "10.0.0.1"),
    ]
    capital = [(name.title(), value) for name, value in OF_A_CONNECTION]
    assert of_answer([*capital, (b"Set-Cookie", b"a=1")], 200) == [
        (b"set-cookie", b"a=1"),
        (b"via", b"1.1 tenant-proxy"),
    ]


def test_no_key_goes_to_an_upstream_and_nobody_claims_to_be_another() -> None:
    claimed = [
        (b"authorization", b"Bearer k"),
        (b"x-tenant", b"bolt"),
        (b"x-forwarded-for", b"1.1.1.1"),
        (b"host", b"h"),
    ]
    sent = of_request(claimed, "acme", "10.0.0.1", "upstream-token")
    assert [pair for pair in sent if pair[0] == "x-tenant"] == [("x-tenant", "acme")]
    assert [pair for pair in sent if pair[0] == "x-forwarded-for"] == [("x-forwarded-for", "10.0.0.1")]
    assert [pair for pair in sent if pair[0] == "authorization"] == [("authorization", "Bearer upstream-token")]
    assert "host" not in dict(sent)
    assert "authorization" not in dict(of_request(claimed, "acme", "10.0.0.1", None))


def test_a_value_passes_as_it_came_or_not_at_all() -> None:
    assert ("x-name", "Zoë") in of_request([(b"x-name", "Zoë".encode())], "acme", "", None)
    with pytest.raises(Unreadable):
        of_request([(b"x-name", b"\xff")], "acme", "", None)


def test_the_length_of_another_answer_does_not_pass() -> None:
    received = [(b"Content-Length", b"5"), (b"ETag", b'"x"')]
    assert dict(of_answer(received, 200))[b"content-length"] == b"5"
    assert b"content-length" not in dict(of_answer(received, 304))
    assert dict(of_answer(received, 304))[b"etag"] == b'"x"'
