"""Where metrics are served, and what is said of an address that can't be had."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from confcast.errors import ConfcastError
from confcast.metrics.address import Address, bind, parse


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9150", "127.0.0.1", 9150),
        (":9150", "127.0.0.1", 9150),
        ("9150", "127.0.0.1", 9150),
        ("[::1]:9150", "::1", 9150),
        ("localhost:0", "localhost", 0),
        ("0.0.0.0:65535", "0.0.0.0", 65535),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    assert parse(text) == (host, port)
    assert parse(str(parse(text))) == (host, port)


@pytest.mark.parametrize(
    "text", ["", ":", "host:", "host:port", "host:-1", "host:65536", "host:\u0661", "host:99999999999"]
)
def test_what_has_no_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no address: give HOST:PORT, as 127\.0\.0\.1:9150"):
        parse(text)


@pytest.mark.parametrize("text", ["::1:9150", "[::1:9150", "fe80::1", "a]:1", "[a:1"])
def test_a_number_of_ipv6_has_brackets(text: str) -> None:
    with pytest.raises(ValueError, match=r"is written in brackets, as \[::1\]:9150"):
        parse(text)


def test_a_name_with_several_addresses_has_one_port_on_all_of_them() -> None:
    with ExitStack() as opened:
        sockets = [opened.enter_context(each) for each in bind(Address("localhost", 0))]
        assert len({each.getsockname()[1] for each in sockets}) == 1
        assert all(each.getsockname()[0] in ("127.0.0.1", "::1") for each in sockets)


def test_a_port_in_use_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfcastError, match=f"--metrics 127\\.0\\.0\\.1:{port}: Address already in use"):
            bind(Address("127.0.0.1", port))

    def unknown(*given: object, **more: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConfcastError, match=r"--metrics nowhere\.invalid:1: Name or service not known"):
        bind(Address("nowhere.invalid", 1))
