"""One context for all connections with the same files, and another one once a file is another."""

from __future__ import annotations

import contextlib
import ssl
from pathlib import Path

import pytest

from confcast.fleet.engines import tls_contexts
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import Fault
from tests.support.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority(tmp_path)
    issue(authority, "first")
    return authority


def issue(authority: Authority, name: str) -> None:
    certificate, key = authority.pair(name, address="127.0.0.1")
    authority.put(authority.keyfile, key)
    authority.put(authority.certfile, certificate)


@pytest.fixture(autouse=True)
def no_context_is_left(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tls_contexts, "_made", {})


def access(authority: Authority, *, mutual: bool = False) -> Access:
    own = {"cert_file": str(authority.certfile), "key_file": str(authority.keyfile)} if mutual else {}
    return Access(url="rediss://config.example", ca_file=str(authority.certfile), **own)


def accepted(context: ssl.SSLContext, authority: Authority) -> bool:
    """Whether a client with this context takes a server with the authority's pair."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(authority.certfile, authority.keyfile)
    sides = [(ssl.MemoryBIO(), ssl.MemoryBIO()) for _ in range(2)]
    one = context.wrap_bio(*sides[0], server_hostname="127.0.0.1")
    other = server.wrap_bio(*sides[1], server_side=True)
    try:
        for _ in range(4):
            for side in (one, other):
                with contextlib.suppress(ssl.SSLWantReadError):
                    side.do_handshake()
                sides[1][0].write(sides[0][1].read())
                sides[0][0].write(sides[1][1].read())
    except ssl.SSLCertVerificationError:
        return False
    return True


def test_the_same_files_have_one_context_that_verifies(authority: Authority):
    one, other = access(authority, mutual=True).tls(), access(authority, mutual=True).tls()
    assert one is other
    assert one.check_hostname
    assert one.verify_mode is ssl.CERT_REQUIRED
    assert access(authority).tls() is not one


def test_a_renewed_file_counts_from_the_next_connection_on(authority: Authority):
    one = access(authority).tls()
    assert accepted(one, authority)
    issue(authority, "second")
    assert not accepted(one, authority)
    other = access(authority).tls()
    assert other is not one
    assert accepted(other, authority)
    assert len(tls_contexts._made) == 1


def test_a_link_that_leads_to_an_older_file_counts_too(authority: Authority, tmp_path: Path):
    (tmp_path / "old").mkdir()
    old = Authority(tmp_path / "old")
    link = tmp_path / "ca.pem"
    link.symlink_to(authority.certfile)
    one = Access(url="rediss://x", ca_file=str(link)).tls()
    (tmp_path / "new").symlink_to(old.certfile)
    (tmp_path / "new").replace(link)
    assert Access(url="rediss://x", ca_file=str(link)).tls() is not one


def test_a_file_that_went_away_is_a_fault_and_the_context_is_not_used_on(authority: Authority):
    access(authority).tls()
    content = authority.certfile.read_bytes()
    authority.certfile.unlink()
    with pytest.raises(Fault, match=r"cert\.pem: no certificates for TLS can be read"):
        access(authority).tls()
    authority.certfile.write_bytes(content)
    assert access(authority).tls()


def test_the_systems_authorities_are_read_once(monkeypatch: pytest.MonkeyPatch, authority: Authority):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certfile))
    monkeypatch.setenv("SSL_CERT_DIR", str(authority.certfile.parent / "none"))
    one = Access(url="rediss://x").tls()
    assert Access(url="rediss://y").tls() is one
    assert accepted(one, authority)
    issue(authority, "second")
    assert accepted(Access(url="rediss://x").tls(), authority)


def test_a_key_with_a_password_is_a_fault_and_no_terminal_is_asked(tmp_path: Path):
    with pytest.raises(Fault, match="no certificates for TLS can be read"):
        access(Authority(tmp_path, password="secret"), mutual=True).tls()
