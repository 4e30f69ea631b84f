"""Who may come in: addresses, tokens and certificates, and the files that hold them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from confcast.fleet.gateway import doors
from confcast.fleet.gateway.doors import Address, Tls, Tokens
from confcast.fleet.gateway.errors import DoorError
from tests.support.certificates import Authority, handshake

TOKEN, OTHER = "0123456789abcdef0123", "fedcba98765432100123"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9180", ("127.0.0.1", 9180, True)),
        ("127.9.9.9:0", ("127.9.9.9", 0, True)),
        ("[::1]:9180", ("::1", 9180, True)),
        ("localhost:1", ("localhost", 1, True)),
        ("0.0.0.0:9180", ("0.0.0.0", 9180, False)),
        ("[::]:9180", ("::", 9180, False)),
        ("config.example:9180", ("config.example", 9180, False)),
    ],
)
def test_an_address(text: str, expected: tuple[str, int, bool]):
    found = doors.address(text)
    assert (found.host, found.port, found.is_loopback) == expected
    assert str(found) == text


@pytest.mark.parametrize("text", ["", "9180", ":9180", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "a:65536", "a:²"])
def test_what_is_no_address_is_refused_in_words(text: str):
    with pytest.raises(DoorError, match="HOST:PORT is expected"):
        doors.address(text)


def test_without_tokens_or_certificates_only_this_machine_may_come():
    everywhere = Address("0.0.0.0", 9180)
    with pytest.raises(DoorError, match="anybody who can connect would read the configuration"):
        doors.check(everywhere, tokens=False, client_ca=False)
    doors.check(everywhere, tokens=True, client_ca=False)
    doors.check(everywhere, tokens=False, client_ca=True)
    doors.check(Address("127.0.0.1", 9180), tokens=False, client_ca=False)


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(f"{TOKEN}\n\n{OTHER}\n")
    return path


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {OTHER}", f"Bearer  {TOKEN} "])
def test_a_token_of_the_file_is_let_in(tokens: Path, header: str):
    assert Tokens(str(tokens)).allow(header)


@pytest.mark.parametrize(
    "header", ["", TOKEN, "Bearer", "Bearer ", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", f"Bearer {TOKEN}\udcff"]
)
def test_nobody_else_is(tokens: Path, header: str):
    assert not Tokens(str(tokens)).allow(header)


def test_a_rotated_file_counts_from_its_next_look_and_a_spoiled_one_changes_nothing(tokens: Path, caplog):
    found = Tokens(str(tokens))
    tokens.write_text(OTHER)
    found.refresh()
    assert (found.allow(f"Bearer {TOKEN}"), found.allow(f"Bearer {OTHER}")) == (False, True)
    tokens.write_text("")
    found.refresh()
    found.refresh()
    assert found.allow(f"Bearer {OTHER}")
    tokens.unlink()
    found.refresh()
    assert found.allow(f"Bearer {OTHER}")
    assert [each.levelno for each in caplog.records] == [logging.ERROR] * 2
    assert OTHER not in caplog.text
    tokens.write_text(TOKEN)
    found.refresh()
    assert found.allow(f"Bearer {TOKEN}")


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "one token a line"), (b"short\n", "token 1 has fewer than 16"), (b"x" * 70_000, "65536 bytes at most")],
)
def test_a_file_without_tokens_is_refused_in_words(tmp_path: Path, content: bytes, words: str):
    (tmp_path / "tokens").write_bytes(content)
    with pytest.raises(DoorError, match=words):
        Tokens(str(tmp_path / "tokens"))
    with pytest.raises(DoorError, match="can't be read"):
        Tokens(str(tmp_path / "none"))


def test_a_renewed_certificate_is_shown_and_half_of_a_renewal_is_not(tmp_path: Path, caplog):
    authority = Authority(tmp_path)
    tls = Tls(str(authority.certfile), str(authority.keyfile), "")
    assert handshake(tls.context) == "first"
    certificate, key = authority.pair("second")
    authority.put(authority.certfile, certificate)
    tls.refresh()
    tls.refresh()
    assert handshake(tls.context) == "first"
    assert len(caplog.records) == 1
    authority.put(authority.keyfile, key)
    tls.refresh()
    assert handshake(tls.context) == "second"


def test_files_without_certificates_are_refused_in_words(tmp_path: Path):
    authority = Authority(tmp_path)
    nothing = tmp_path / "nothing"
    nothing.touch()
    with pytest.raises(DoorError, match="no certificate with its key"):
        Tls(str(nothing), "", "")
    with pytest.raises(DoorError, match="can't be read"):
        Tls(str(tmp_path / "none"), "", "")
    with pytest.raises(DoorError, match="no authorities"):
        Tls(str(authority.certfile), str(authority.keyfile), str(nothing))


def test_a_key_with_a_password_is_refused_and_no_terminal_is_asked(tmp_path: Path):
    authority = Authority(tmp_path, password="secret")
    with pytest.raises(DoorError, match="no certificate with its key"):
        Tls(str(authority.certfile), str(authority.keyfile), "")
