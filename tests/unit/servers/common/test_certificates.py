"""A master tries the files of a TLS certificate; a renewal makes a worker's contexts anew, or changes nothing."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from confcast.servers.common.certificates import Certificate, Renewal, Unusable
from tests.support.certificates import Authority, context_of, handshake

LOG = logging.getLogger("test.certificates")


def renewal_of(authority: Authority) -> tuple[Renewal, ssl.SSLContext]:
    """A renewal, and the context of its server."""
    files = Certificate(authority.certfile, authority.keyfile)
    renewal = Renewal(LOG, files.paths, files.check)
    return renewal, renewal.noting(context_of)(authority)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize(("before", "after"), [("EC", "EC"), ("EC", "RSA"), ("RSA", "EC")])
def test_new_connections_get_the_renewed_certificate_whatever_the_kind_of_its_key(
    tmp_path: Path, before: str, after: str, caplog: pytest.LogCaptureFixture
):
    authority = Authority(tmp_path, kind=before)
    renewal, context = renewal_of(authority)
    for name in ("second", "third"):
        authority.issue(name, after)
        assert handshake(context) != name

        with caplog.at_level(logging.INFO, LOG.name):
            renewal.renew()

        assert handshake(context) == name
    assert caplog.messages == [f"confcast: new connections get the renewed TLS certificate {authority.certfile}"] * 2


def test_files_that_are_as_they_were_make_no_context(authority: Authority, caplog: pytest.LogCaptureFixture):
    renewal, context = renewal_of(authority)

    with caplog.at_level(logging.DEBUG, LOG.name):
        renewal.renew()

    assert context.sni_callback is None
    assert caplog.messages == []


def test_a_half_renewed_pair_changes_nothing(authority: Authority, caplog: pytest.LogCaptureFixture):
    renewal, context = renewal_of(authority)
    certificate, key = authority.pair("second")
    authority.put(authority.certfile, certificate)

    renewal.renew()

    (message,) = caplog.messages
    assert f"the key {authority.keyfile} does not belong to the certificate {authority.certfile}" in message
    assert handshake(context) == "first"
    authority.put(authority.keyfile, key)
    renewal.renew()
    assert handshake(context) == "second"


def test_without_a_check_the_error_of_making_a_context_is_said(authority: Authority, caplog: pytest.LogCaptureFixture):
    renewal = Renewal(LOG, (authority.certfile, authority.keyfile, None))
    context = renewal.noting(context_of)(authority)
    authority.put(authority.keyfile, b"half")

    renewal.renew()

    assert "the TLS certificate stays as it is: SSLError: " in caplog.text
    assert handshake(context) == "first"


def test_files_that_change_while_the_first_context_is_made_are_not_missed(authority: Authority):
    """The HUP may come before there is a context to renew."""
    renewal = Renewal(LOG, (authority.certfile, authority.keyfile))

    def make() -> ssl.SSLContext:
        context = context_of(authority)
        if handshake(context) == "first":
            authority.issue("second")
            renewal.renew()
        return context

    assert handshake(renewal.noting(make)()) == "second"


@pytest.mark.parametrize("keeps", ["", "this kind of worker keeps its TLS certificate"])
def test_where_no_context_was_made_it_says_so_once_if_none_will_be(
    keeps: str, authority: Authority, caplog: pytest.LogCaptureFixture
):
    renewal = Renewal(LOG, (authority.certfile, authority.keyfile), without_contexts=keeps)
    authority.issue("second")

    for _ in range(2):
        renewal.renew()

    assert caplog.messages == ([f"confcast: {keeps}"] if keeps else [])


def test_where_the_files_are_unknown_each_hup_makes_a_context(authority: Authority):
    renewal = Renewal(LOG)
    context = renewal.noting(context_of)(authority)
    authority.issue("second")

    renewal.renew()

    assert handshake(context) == "second"


def test_a_function_that_keeps_its_context_renews_it_itself(authority: Authority):
    context = context_of(authority)
    renewal = Renewal(LOG)
    renewal.noting(lambda: context)()

    renewal.renew()

    assert context.sni_callback is None


def test_a_server_without_tls_has_nothing_to_renew():
    renewal = Renewal(LOG)
    nothing: Any = None

    assert renewal.noting(lambda: nothing)() is None
    renewal.renew()


def test_a_name_callback_of_the_user_s_is_the_new_context_s_own(authority: Authority):
    asked: list[Any] = []
    made: list[ssl.SSLContext] = []

    def make() -> ssl.SSLContext:
        made.append(context_of(authority))
        made[-1].sni_callback = lambda connection, name, context: asked.append((connection, name, context))
        return made[-1]

    renewal = Renewal(LOG)
    serving = renewal.noting(make)()
    renewal.renew()
    connection: Any = SimpleNamespace(context=serving)

    assert serving.sni_callback is not None
    serving.sni_callback(connection, "localhost", serving)

    assert connection.context is made[1]
    assert asked == [(connection, "localhost", made[1])]


def refusal(certificate: Certificate) -> str:
    with pytest.raises(Unusable) as refused:
        certificate.check()
    return str(refused.value)


def test_a_key_may_be_in_the_certificate_s_own_file(authority: Authority):
    authority.put(authority.certfile, b"".join(authority.pair("first")))
    Certificate(authority.certfile).check()


def test_an_encrypted_key_needs_its_password_which_is_not_asked_for_at_the_terminal(tmp_path: Path):
    authority = Authority(tmp_path, password="open sesame")
    Certificate(authority.certfile, authority.keyfile, "open sesame").check()

    without = refusal(Certificate(authority.certfile, authority.keyfile))

    assert without == f"the key {authority.keyfile} is encrypted, and the server was given no password for it"


@pytest.mark.parametrize("password", ["close sesame", "x" * 2000])
def test_a_wrong_password_is_not_shown(tmp_path: Path, password: str):
    authority = Authority(tmp_path, password="open sesame")
    words = refusal(Certificate(authority.certfile, authority.keyfile, password))

    assert "can't be loaded" in words
    assert password not in words


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nMIIB", b"no certificate"])
def test_a_file_that_is_no_certificate_is_named(authority: Authority, content: bytes):
    authority.put(authority.certfile, content)
    assert str(authority.certfile) in refusal(Certificate(authority.certfile, authority.keyfile))


def test_a_file_that_can_not_be_read_is_named(authority: Authority):
    authority.keyfile.unlink()
    words = refusal(Certificate(authority.certfile, authority.keyfile))
    assert words == f"{authority.keyfile} can't be read: No such file or directory"


def test_a_master_sees_a_renewal_and_says_a_fault_once(authority: Authority):
    certificate = Certificate(authority.certfile, authority.keyfile)
    assert (certificate.look(), certificate.usable, certificate.renewed) == (None, True, False)
    new, key = authority.pair("second")
    authority.put(authority.certfile, new)

    assert "does not belong" in str(certificate.look())
    assert (certificate.look(), certificate.usable) == (None, False)
    assert "does not belong" in refusal(certificate)

    authority.put(authority.keyfile, key)
    assert (certificate.look(), certificate.usable, certificate.renewed) == (None, True, True)
    authority.put(authority.certfile, new[:100])
    assert "can't be loaded" in str(certificate.look())

    authority.put(authority.certfile, new)
    certificate.take_over()
    assert (certificate.look(), certificate.usable, certificate.renewed) == (None, True, False)


def test_renewed_authorities_of_clients_are_a_renewal(authority: Authority, tmp_path: Path):
    authorities = tmp_path / "ca.pem"
    authorities.write_bytes(authority.certfile.read_bytes())
    certificate = Certificate(authority.certfile, authority.keyfile, ca_certs=authorities)
    authorities.unlink()

    assert (certificate.look(), certificate.usable, certificate.renewed) == (None, True, True)


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
