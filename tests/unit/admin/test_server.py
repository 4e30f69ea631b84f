"""What an admin server is started with: on loopback, or with TLS; anything else is refused in words."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from confcast.admin import server
from confcast.admin.server import CanNotStart, Options
from tests.support.certificates import Authority


def refused(tmp_path: Path, **options: Any) -> str:
    start = Options(**{"bind": "127.0.0.1:0", "token_file": tmp_path / "tokens", **options})
    with pytest.raises(CanNotStart) as found:
        asyncio.run(server.serve(start, lambda url, made: pytest.fail("it listens")))
    return str(found.value)


@pytest.mark.parametrize("bind", ["0.0.0.0:0", "[::]:0", "192.0.2.1:9151"])
def test_no_token_travels_in_clear_text_over_a_network(tmp_path: Path, bind: str) -> None:
    assert "tokens would travel in clear text: give --tls-cert" in refused(tmp_path, bind=bind)


def test_it_listens_on_a_network_with_tls_or_behind_a_proxy(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    for more, scheme in (
        ({"tls_cert": str(authority.certfile), "tls_key": str(authority.keyfile)}, "https"),
        ({"behind_proxy": True}, "http"),
    ):
        start = Options(bind="0.0.0.0:0", token_file=tmp_path / "tokens", hosts=("config.example",), **more)
        with pytest.raises(_Listens, match=rf"^{scheme}://0\.0\.0\.0:\d+$"):
            asyncio.run(server.serve(start, _listens))


class _Listens(Exception):
    """Ends a server that is about to serve."""


def _listens(url: str, made: bool) -> None:
    raise _Listens(url)


@pytest.mark.parametrize("bind", ["9151", "127.0.0.1", ":9151", "127.0.0.1:x", "127.0.0.1:70000"])
def test_an_address_is_a_host_and_a_port(tmp_path: Path, bind: str) -> None:
    assert refused(tmp_path, bind=bind).startswith(f"--bind {bind}: HOST:PORT is expected")


def test_all_addresses_of_a_host_have_no_name(tmp_path: Path) -> None:
    assert "by --allow-host which names" in refused(tmp_path, bind="0.0.0.0:0", behind_proxy=True)


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        assert refused(tmp_path, bind=bind) == f"--bind {bind}: Address already in use"


def test_a_certificate_that_is_none_is_refused_and_asks_the_terminal_nothing(tmp_path: Path) -> None:
    (nothing := tmp_path / "nothing.pem").write_text("no certificate")
    assert "no certificate with its key can be read" in refused(tmp_path, tls_cert=str(nothing))
    (tmp_path / "locked").mkdir()
    locked = Authority(tmp_path / "locked", "a password")
    told = refused(tmp_path, tls_cert=str(locked.certfile), tls_key=str(locked.keyfile))
    assert "the key has a password" in told


@pytest.mark.parametrize(
    ("scheme", "host", "port", "further", "origins"),
    [
        (
            *("http", "127.0.0.1", 9151, ()),
            {"http://127.0.0.1:9151", "http://localhost:9151", "http://[::1]:9151"},
        ),
        (
            *("http", "::1", 80, ()),
            {"http://127.0.0.1", "http://localhost", "http://[::1]"},
        ),
        (
            *("https", "192.0.2.1", 443, ("config.example",)),
            {"https://192.0.2.1", "https://config.example", "http://config.example"},
        ),
    ],
)
def test_its_origins_are_what_a_browser_sends(
    scheme: str, host: str, port: int, further: tuple[str, ...], origins: set[str]
) -> None:
    assert set(server._origins(scheme, host, port, further)) == origins
