"""TLS certificates are renewed in a context in use, which must never hold half a pair or two kinds of key."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast.servers.common import certificates
from confcast.servers.common.certificates import Certificate, Unusable, renew
from tests.support.certificates import Authority, handshake


def serving(authority: Authority, password: str | None = None) -> ssl.SSLContext:
    """A server's context, as servers make it, for which `renew` was called once."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certfile, authority.keyfile, password)
    assert renew(context, authority.certfile, authority.keyfile, password) is None
    return context


@contextlib.contextmanager
def no_descriptors_but(left: int) -> Iterator[None]:
    """Open all descriptors that this process may have, but these."""
    taken: list[int] = []
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(left):
            os.close(taken.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for each in taken:
            os.close(each)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_connections_get_the_renewed_certificate(authority: Authority):
    context = serving(authority)
    assert handshake(context) == "first"

    authority.issue("second")

    assert handshake(context) == "first"
    assert renew(context, authority.certfile, authority.keyfile) is None
    assert handshake(context) == "second"


def test_a_key_in_the_certificate_s_own_file_is_renewed_with_it(authority: Authority):
    authority.put(authority.certfile, b"".join(authority.pair("first")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.certfile)

    authority.put(authority.certfile, b"".join(authority.pair("second")))

    assert renew(context, authority.certfile) is None
    assert handshake(context) == "second"


def test_a_half_renewed_pair_changes_nothing(authority: Authority):
    """By `load_cert_chain` alone the context would have the new chain and no key, and no handshake would succeed."""
    context = serving(authority)
    certificate, key = authority.pair("second")
    authority.put(authority.certfile, certificate)

    words = renew(context, authority.certfile, authority.keyfile)

    assert words is not None
    assert f"the key {authority.keyfile} does not belong to the certificate {authority.certfile}" in words
    assert handshake(context) == "first"
    authority.put(authority.keyfile, key)
    assert renew(context, authority.certfile, authority.keyfile) is None
    assert handshake(context) == "second"


def test_what_openssl_does_to_a_living_context_with_half_a_pair(authority: Authority):
    """OpenSSL keeps half a pair, which `renew` prevents. When this fails, `read` need not try the pair any more."""
    context = serving(authority)
    authority.put(authority.certfile, authority.pair("second")[0])
    with pytest.raises(ssl.SSLError):
        context.load_cert_chain(authority.certfile, authority.keyfile)

    with pytest.raises(ssl.SSLError):
        handshake(context)


@pytest.mark.parametrize(("before", "after"), [("EC", "RSA"), ("RSA", "EC")])
def test_a_key_of_another_kind_is_refused_in_words(tmp_path: Path, before: str, after: str):
    authority = Authority(tmp_path, kind=before)
    context = serving(authority)
    authority.issue("second", after)

    words = renew(context, authority.certfile, authority.keyfile)

    assert words is not None
    assert f"has an {after} key, and an {before} key is served" in words
    assert "full reload" in words
    assert handshake(context) == "first"


def test_what_openssl_does_with_a_key_of_another_kind(authority: Authority):
    """OpenSSL keeps both certificates, and the client chooses. When this fails, another kind need not be refused."""
    context = serving(authority)
    authority.issue("second", "RSA")
    context.load_cert_chain(authority.certfile, authority.keyfile)

    assert handshake(context) == "first"


def test_an_encrypted_key_is_renewed_with_its_password(tmp_path: Path):
    authority = Authority(tmp_path, password="open sesame")
    context = serving(authority, "open sesame")
    authority.issue("second")

    assert renew(context, authority.certfile, authority.keyfile, "open sesame") is None
    assert handshake(context) == "second"


def test_a_key_that_is_encrypted_now_is_refused_without_a_question_at_the_terminal(tmp_path: Path):
    context = serving(Authority(tmp_path))
    authority = Authority(tmp_path, password="open sesame")

    words = renew(context, authority.certfile, authority.keyfile)

    assert words == f"the key {authority.keyfile} is encrypted, and the server was given no password for it"
    assert handshake(context) == "first"


@pytest.mark.parametrize("password", ["close sesame", "x" * 2000])
def test_a_wrong_password_changes_nothing(tmp_path: Path, password: str):
    authority = Authority(tmp_path, password="open sesame")
    context = serving(authority, "open sesame")
    authority.issue("second")

    words = renew(context, authority.certfile, authority.keyfile, password)

    assert words is not None
    assert "can't be loaded" in words
    assert password not in words
    assert handshake(context) == "first"


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nMIIB", b"no certificate"])
def test_a_file_that_is_no_certificate_changes_nothing(authority: Authority, content: bytes):
    context = serving(authority)
    authority.put(authority.certfile, content)

    words = renew(context, authority.certfile, authority.keyfile)

    assert words is not None
    assert str(authority.certfile) in words
    assert handshake(context) == "first"


def test_a_file_that_can_not_be_read_changes_nothing(authority: Authority):
    context = serving(authority)
    authority.keyfile.unlink()

    words = renew(context, authority.certfile, authority.keyfile)

    assert words == f"{authority.keyfile} can't be read: No such file or directory"
    assert handshake(context) == "first"


def test_it_works_where_there_are_no_files_in_memory(authority: Authority, monkeypatch: pytest.MonkeyPatch):
    context = serving(authority)
    authority.issue("second")
    monkeypatch.delattr(os, "memfd_create")

    assert renew(context, authority.certfile, authority.keyfile) is None
    assert handshake(context) == "second"


def test_it_works_where_a_file_in_memory_can_not_be_opened(authority: Authority, monkeypatch: pytest.MonkeyPatch):
    """A chroot without /proc, or a policy, may prevent it."""
    context = serving(authority)
    authority.issue("second")
    monkeypatch.setattr(os, "memfd_create", lambda _: socket.socket().detach())  # which has a path, and no open()

    assert renew(context, authority.certfile, authority.keyfile) is None
    assert handshake(context) == "second"


@pytest.mark.parametrize("left", range(6))
def test_where_no_descriptor_is_left_it_is_said_and_changes_nothing(left: int, authority: Authority):
    context = serving(authority)
    fresh = certificates.read(authority.certfile, authority.keyfile)
    authority.issue("second")
    second = certificates.read(authority.certfile, authority.keyfile)
    assert certificates.load(context, fresh) is False

    with no_descriptors_but(left):
        words = renew(context, authority.certfile, authority.keyfile)
        with contextlib.suppress(Unusable):
            certificates.load(context, second)

    assert words is None or "Too many open files" in words
    assert words is not None or left > 2
    assert handshake(context) == ("second" if left > 2 else "first")


def test_it_leaves_no_descriptor_and_shows_no_key(authority: Authority):
    open_before = set(Path("/dev/fd").iterdir())
    pair = certificates.read(authority.certfile, authority.keyfile)

    assert set(Path("/dev/fd").iterdir()) == open_before
    assert b"PRIVATE KEY" in (pair.key or b"")
    assert "PRIVATE KEY" not in repr(pair)


def test_a_pair_that_is_served_already_is_not_loaded_again(authority: Authority):
    context = serving(authority)
    assert not certificates.load(context, certificates.read(authority.certfile, authority.keyfile))

    authority.issue("second")

    assert certificates.load(context, certificates.read(authority.certfile, authority.keyfile))


def test_a_master_sees_a_renewal_and_says_a_fault_once(authority: Authority):
    certificate = Certificate(authority.certfile, authority.keyfile)
    assert (certificate.look(), certificate.usable, certificate.renewed) == (None, True, False)
    new, key = authority.pair("second")
    authority.put(authority.certfile, new)

    assert "does not belong" in str(certificate.look())
    assert (certificate.look(), certificate.usable) == (None, False)
    with pytest.raises(Unusable, match="does not belong"):
        certificate.check()

    authority.put(authority.keyfile, key)
    assert (certificate.look(), certificate.usable, certificate.renewed) == (None, True, True)
    authority.put(authority.certfile, new[:100])
    assert "can't be loaded" in str(certificate.look())

    authority.put(authority.certfile, new)
    certificate.take_over()
    assert (certificate.look(), certificate.usable, certificate.renewed) == (None, True, False)


def test_a_master_says_that_another_kind_of_key_takes_new_workers_which_can_start(authority: Authority):
    certificate = Certificate(authority.certfile, authority.keyfile)
    authority.issue("second", "RSA")

    assert "another kind of key takes kill -RTMIN 4711" in str(certificate.look("kill -RTMIN 4711"))
    assert not certificate.usable
    certificate.check()


def test_a_relative_path_means_the_folder_that_the_server_started_in(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A link is followed at each look: a renewal may replace a link."""
    monkeypatch.chdir(tmp_path)
    Path("live").symlink_to(authority.certfile)
    certificate = Certificate("live", "key.pem")
    monkeypatch.chdir("/")
    other = tmp_path / "other"
    other.mkdir()
    second = Authority(other)
    (tmp_path / "live").unlink()
    (tmp_path / "live").symlink_to(second.certfile)
    authority.put(authority.keyfile, second.keyfile.read_bytes())

    assert (certificate.look(), certificate.usable, certificate.renewed) == (None, True, True)
